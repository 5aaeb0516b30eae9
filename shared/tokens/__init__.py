"""Personal access tokens: letting a program act for somebody, within scopes."""

from shared.tokens.models import (
    SCOPES,
    NewToken,
    PersonalAccessToken,
    PersonalAccessTokens,
    Scope,
    TokenRequest,
)
from shared.tokens.queries import HELD
from shared.tokens.service import TooManyTokens, create_token, list_tokens, note_refusal, revoke_token, verify

__all__ = [
    "HELD",
    "SCOPES",
    "NewToken",
    "PersonalAccessToken",
    "PersonalAccessTokens",
    "Scope",
    "TokenRequest",
    "TooManyTokens",
    "create_token",
    "list_tokens",
    "note_refusal",
    "revoke_token",
    "verify",
]
