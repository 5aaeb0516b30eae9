"""Who is calling, and may they: what stands first in every ``@endpoint``.

``anyone`` lets everybody in and looks at no token; ``member`` wants a signed-in caller; ``role("admin")`` wants one
whose role is that one, in the token and, asked at the door, in the database.
"""

from dataclasses import dataclass, replace

from shared.accounts import Role
from shared.db import Caller
from shared.errors import Forbidden, InvalidToken, Unauthorized
from shared.security import access_tokens


@dataclass(frozen=True, slots=True)
class Access:
    """A rule about callers."""

    needs_caller: bool
    role: Role | None = None

    def admit(self, authorization: str | None) -> Caller | None:
        """The caller an ``Authorization`` header speaks for. Only its signature is proved; the door asks the rest.

        Raises:
            Unauthorized: a caller is needed and there is no header.
            InvalidToken: the header holds no good access token.
            Forbidden: the token's role is not the one needed.
        """
        if not self.needs_caller:
            return None
        if not authorization:
            raise Unauthorized
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise InvalidToken
        token = access_tokens.verify(credentials.strip())
        if self.role and token.role != self.role:
            raise Forbidden
        return Caller(token.user_id, token.session_id, token.role, token.expires_at, self.role)


anyone = Access(needs_caller=False)
member = Access(needs_caller=True)


def role(name: Role) -> Access:
    """Members with this role only."""
    return replace(member, role=name)
