"""Who is calling, and may they: what stands first in every ``@endpoint``.

``anyone`` lets everybody in and looks at no token; ``member`` wants a signed-in caller; ``fresh`` one who proved who
they are a moment ago; ``role("admin")`` one whose role is that one, in the token and, asked at the door, in the
database. None of them takes a personal access token: ``scope("applications:read")`` does, if it has that scope, and
``member_or_token`` takes any.
"""

from dataclasses import dataclass, replace
from time import time

from shared.accounts import Role
from shared.db import AnyCaller, Caller, TokenCaller
from shared.errors import Forbidden, InvalidToken, ReauthenticationRequired, SessionRequired, Unauthorized
from shared.security import access_tokens, personal_access_tokens
from shared.tokens import SCOPES, Scope

FRESH_SECONDS = 600
"""How long a proof of who somebody is opens the doors that ask for a fresh one."""


@dataclass(frozen=True, slots=True)
class Access:
    """A rule about callers."""

    needs_caller: bool
    role: Role | None = None
    is_fresh: bool = False
    takes_tokens: bool = False
    scope: Scope | None = None

    def admit(self, authorization: str | None) -> AnyCaller | None:
        """The caller an ``Authorization`` header speaks for. Only its own soundness is proved; the door asks the rest.

        Raises:
            Unauthorized: a caller is needed and there is no header.
            InvalidToken: the header holds no good token.
            SessionRequired: it holds a personal access token, and this rule takes none.
            Forbidden: the token's role is not the one needed.
            ReauthenticationRequired: the caller has to prove anew who they are.
        """
        if not self.needs_caller:
            return None
        if not authorization:
            raise Unauthorized
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise InvalidToken
        credentials = credentials.strip()
        if credentials.startswith(personal_access_tokens.PREFIX):
            return self._admit_token(credentials)
        token = access_tokens.verify(credentials)
        if self.role and token.role != self.role:
            raise Forbidden
        if self.is_fresh and token.authenticated_at < time() - FRESH_SECONDS:
            raise ReauthenticationRequired(max_age=FRESH_SECONDS)
        return Caller(token.user_id, token.session_id, token.role, token.expires_at, self.role, token.authenticated_at)

    def _admit_token(self, token: str) -> TokenCaller:
        digest = personal_access_tokens.digest(token)
        if not self.takes_tokens:
            raise SessionRequired
        return TokenCaller(digest, self.scope, self.role)


anyone = Access(needs_caller=False)
member = Access(needs_caller=True)
fresh = replace(member, is_fresh=True)
member_or_token = replace(member, takes_tokens=True)


def role(name: Role, *, of: Access = member) -> Access:
    """Members, or those of another rule, with this role only: ``role("admin", of=fresh)``."""
    return replace(of, role=name)


def scope(name: Scope) -> Access:
    """Members, and personal access tokens with this scope."""
    if name not in SCOPES:
        raise TypeError(f"there is no scope {name!r}, only {', '.join(SCOPES)}")
    return replace(member_or_token, scope=name)
