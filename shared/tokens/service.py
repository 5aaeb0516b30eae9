"""Making, listing and revoking personal access tokens, and telling what one may do."""

import json
from http import HTTPStatus
from uuid import UUID

from shared import db, mail, sessions
from shared.accounts import User
from shared.db import AnyCaller, Caller, Device, TokenCaller
from shared.documents import Document
from shared.errors import InsufficientScope, NotFound, Problem, TokenRevoked
from shared.security import personal_access_tokens
from shared.sessions import Verification
from shared.tokens import queries
from shared.tokens.models import Made, NewToken, PersonalAccessTokens, TokenRequest, Verified, granted

MOST = 50
"""Tokens one account may have that are good at the same time."""


class TooManyTokens(Problem):
    """Carries ``limit``."""

    status = HTTPStatus.CONFLICT
    code = "too_many_tokens"
    title = "You have as many tokens as you may have; revoke one first"
    sqlstate = "JTP09"


async def create_token(caller: Caller, request: TokenRequest, *, device: Device) -> NewToken:
    """Make a token; this answer is the only one that shows it, and its owner is told by mail that there is one.

    It is not kept for an ``Idempotency-Key``, because it would be kept with its secret. Who lost the answer revokes the
    token that was never used, and makes another.

    Raises:
        TooManyTokens: the caller has MOST of them.
    """
    token, scopes = personal_access_tokens.issue(), granted(request.scopes)
    notice = mail.Message("token_created", facts={"name": request.name, "scopes": ", ".join(scopes)})
    door = db.enter(caller).guarded_by(db.from_device(device), mail.guard(notice, user_id=caller.user_id))
    (made,) = await door.write(
        queries.CREATE_TOKEN,
        row=Made,
        digest=personal_access_tokens.digest(token),
        name=request.name,
        scopes=scopes,
        days=request.expires_in_days,
        most=MOST,
    )
    mail.soon()
    return NewToken(
        id=made.id,
        name=request.name,
        scopes=scopes,
        token=token,
        created_at=made.created_at,
        expires_at=made.expires_at,
    )


async def list_tokens(caller: Caller) -> Document[PersonalAccessTokens]:
    rows = await db.enter(caller).read(queries.LIST_TOKENS)
    return Document(rows[0][0])


async def revoke_token(caller: Caller, token_id: UUID, *, device: Device) -> None:
    """End a token.

    Raises:
        NotFound: the caller has no such token, or it has ended.
    """
    if not await db.enter(caller).guarded_by(db.from_device(device)).write(queries.REVOKE_TOKEN, id=token_id):
        raise NotFound


async def verify(caller: AnyCaller) -> Verification:
    """What another service needs to know about the token it was shown, of either kind."""
    if isinstance(caller, Caller):
        return await sessions.verify(caller)
    (token,) = await db.enter(caller).read(queries.VERIFY, row=Verified)
    return Verification(
        user=User.model_validate_json(token.owner),
        session_id=None,
        expires_at=token.expires_at,
        scopes=token.scopes,
    )


async def note_refusal(caller: TokenCaller, refusal: TokenRevoked | InsufficientScope, *, device: Device) -> None:
    """Write down that a token was refused whose owner is known: it leaked, or its holder tries what it is not for."""
    facts = json.dumps({"reason": refusal.code, **refusal.facts})
    await db.as_service(db.from_device(device)).write(queries.NOTE_REFUSAL, digest=caller.digest, facts=facts)
