"""The three providers: where each is, how it is asked, and what its word is worth."""

import asyncio
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from pydantic import TypeAdapter, ValidationError

from shared import settings
from shared.fields import Email, Name
from shared.identities import id_tokens, wire
from shared.identities.id_tokens import Claims, Key
from shared.identities.models import Person, ProviderName
from shared.identities.wire import Refused, Unreachable
from shared.settings import BaseUrl

if TYPE_CHECKING:
    import httpx

CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant that Microsoft's personal accounts are in."""

TENANT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a code is exchanged with: the secrets that only whoever began can know."""

    code: str
    verifier: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Provider(ABC):
    """An authorization server that knows us as ``client_id``."""

    client_id: str
    client_secret: str = field(repr=False)
    base: BaseUrl | None
    """Stands in for each of its hosts, and may sign by its own name."""
    redirect_uri: str

    name: ClassVar[ProviderName]
    scope: ClassVar[str]
    has_nonce: ClassVar[bool] = True

    @property
    @abstractmethod
    def authorization_endpoint(self) -> str: ...

    @property
    @abstractmethod
    def token_endpoint(self) -> str: ...

    def authorization_url(self, *, state: str, challenge: str, nonce: str) -> str:
        """Where a browser is sent (RFC 6749, section 4.1.1), with PKCE (RFC 7636)."""
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self.scope,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if self.has_nonce:
            asked["nonce"] = nonce
        return f"{self.authorization_endpoint}?{urlencode(asked)}"

    async def identify(self, exchange: Exchange) -> Person:
        """Whom the provider vouches for.

        Raises:
            Refused: nobody.
            Unreachable: it cannot be asked now.
        """
        async with wire.talk() as client:
            tokens = await wire.ask(
                client,
                self.token_endpoint,
                form={
                    "grant_type": "authorization_code",
                    "code": exchange.code,
                    "redirect_uri": self.redirect_uri,
                    "client_id": self.client_id,
                    "client_secret": self.client_secret,
                    "code_verifier": exchange.verifier,
                },
            )
            if not isinstance(tokens, dict):
                raise Unreachable("no tokens")
            return await self._read(client, tokens, exchange.nonce)

    @abstractmethod
    async def _read(self, client: "httpx.AsyncClient", tokens: dict[str, Any], nonce: str) -> Person: ...

    def _at(self, host: str, path: str) -> str:
        return f"{self.base or host}{path}"


class OpenId(Provider):
    """A provider that says who it is in an ID token."""

    __slots__ = ()

    scope = "openid email profile"

    @property
    @abstractmethod
    def keys_url(self) -> str: ...

    @abstractmethod
    def is_issuer(self, claims: Claims, key: Key) -> bool:
        """Whether the one who says to have signed is one who may."""

    @abstractmethod
    def vouched(self, claims: Claims) -> Person: ...

    async def _read(self, client: "httpx.AsyncClient", tokens: dict[str, Any], nonce: str) -> Person:
        claims = await id_tokens.verify(
            tokens.get("id_token"),
            client=client,
            keys=id_tokens.keys_at(self.keys_url),
            client_id=self.client_id,
            nonce=nonce,
            is_issuer=self.is_issuer,
        )
        return self.vouched(claims)


class Google(OpenId):
    """https://developers.google.com/identity/openid-connect/openid-connect."""

    __slots__ = ()

    name = "google"

    @property
    def authorization_endpoint(self) -> str:
        return self._at("https://accounts.google.com", "/o/oauth2/v2/auth")

    @property
    def token_endpoint(self) -> str:
        return self._at("https://oauth2.googleapis.com", "/token")

    @property
    def keys_url(self) -> str:
        return self._at("https://www.googleapis.com", "/oauth2/v3/certs")

    def is_issuer(self, claims: Claims, key: Key) -> bool:  # noqa: ARG002 - every key is for the one issuer
        return claims["iss"] in ("https://accounts.google.com", "accounts.google.com", self.base)

    def vouched(self, claims: Claims) -> Person:
        return _person(claims, subject=claims["sub"], is_verified=claims.get("email_verified") is True)


class Microsoft(OpenId):
    """https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc."""

    __slots__ = ()

    name = "microsoft"

    @property
    def authorization_endpoint(self) -> str:
        return self._in_tenant("/oauth2/v2.0/authorize")

    @property
    def token_endpoint(self) -> str:
        return self._in_tenant("/oauth2/v2.0/token")

    @property
    def keys_url(self) -> str:
        return self._in_tenant("/discovery/v2.0/keys")

    def is_issuer(self, claims: Claims, key: Key) -> bool:
        """Every tenant is an issuer of its own, and a key may be for one of them only."""
        tenant, wanted = claims.get("tid"), settings.current().oauth_microsoft_tenant
        if not isinstance(tenant, str) or not TENANT.fullmatch(tenant):
            return False
        if wanted == "organizations":
            is_wanted = tenant != CONSUMERS
        else:
            is_wanted = wanted == "common" or tenant == (CONSUMERS if wanted == "consumers" else wanted)
        issuer = claims["iss"]
        keys_issuer = str(key.get("issuer", issuer)).replace("{tenantid}", tenant)
        issuers = (f"{host}/{tenant}/v2.0" for host in ("https://login.microsoftonline.com", self.base))
        return is_wanted and issuer in issuers and issuer == keys_issuer

    def vouched(self, claims: Claims) -> Person:
        """An administrator of any tenant can write any address into an account of theirs (nOAuth).

        Only ``xms_edov`` says that the address's owner has proved it: an optional claim that the app registration must
        ask for, and that comes as a boolean or as a text.
        """
        is_verified = claims.get("xms_edov") in (True, "1", "true", "True")
        # A subject is unique to its issuer, and each tenant is one.
        return _person(claims, subject=f"{claims['tid']}:{claims['sub']}", is_verified=is_verified)

    def _in_tenant(self, path: str) -> str:
        return self._at("https://login.microsoftonline.com", f"/{settings.current().oauth_microsoft_tenant}{path}")


class GitHub(Provider):
    """https://docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps: OAuth, not OpenID Connect."""

    __slots__ = ()

    name = "github"
    scope = "user:email"
    has_nonce = False

    @property
    def authorization_endpoint(self) -> str:
        return self._at("https://github.com", "/login/oauth/authorize")

    @property
    def token_endpoint(self) -> str:
        return self._at("https://github.com", "/login/oauth/access_token")

    async def _read(self, client: "httpx.AsyncClient", tokens: dict[str, Any], nonce: str) -> Person:  # noqa: ARG002 - there is none
        token = tokens.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise Unreachable("no access_token")
        headers = {"Authorization": f"Bearer {token}", "X-GitHub-Api-Version": "2022-11-28"}
        user, emails = await asyncio.gather(
            wire.ask(client, self._at("https://api.github.com", "/user"), headers=headers),
            self._emails(client, headers),
        )
        number = user.get("id") if isinstance(user, dict) else None
        if not isinstance(number, int) or isinstance(number, bool):
            raise Unreachable("no user")
        # A login can be given up and taken by another, a number cannot.
        primary: dict[str, Any] = next((email for email in emails if email.get("primary") is True), {})
        return _person(primary, subject=str(number), is_verified=primary.get("verified") is True)

    async def _emails(self, client: "httpx.AsyncClient", headers: dict[str, str]) -> list[dict[str, Any]]:
        """The addresses, also those their owner keeps private; none if that was not permitted."""
        try:
            emails = await wire.ask(client, self._at("https://api.github.com", "/user/emails"), headers=headers)
        except Refused:
            return []
        if not isinstance(emails, list):
            raise Unreachable("no emails")
        return [email for email in emails if isinstance(email, dict)]


PROVIDERS: dict[str, type[Provider]] = {kind.name: kind for kind in (Google, GitHub, Microsoft)}


def find(name: str) -> Provider | None:
    """The provider of that name, if it is one that is switched on."""
    kind, config = PROVIDERS.get(name), settings.current()
    client_id = getattr(config, f"oauth_{name}_client_id", None)
    if kind is None or not client_id:
        return None
    return kind(
        client_id,
        getattr(config, f"oauth_{name}_client_secret").get_secret_value(),
        getattr(config, f"oauth_{name}_base_url"),
        f"{config.oauth_callback_base_url}/api/auth/oauth/{name}/callback",
    )


def _person(said: dict[str, Any], *, subject: object, is_verified: bool) -> Person:
    """What of a provider's word we can use: an address that is none, or a name too long, is left out.

    Raises:
        Refused: it does not say who it is.
    """
    if not isinstance(subject, str) or not 0 < len(subject) <= 300 or not (subject.isascii() and subject.isprintable()):
        raise Refused("no subject")
    email = _valid(_email(), said.get("email"))
    return Person(
        subject=subject,
        email=email,
        email_verified=is_verified and email is not None,
        first_name=_valid(_name(), said.get("given_name")),
        last_name=_valid(_name(), said.get("family_name")),
    )


def _valid(kind: TypeAdapter[str], value: object) -> str | None:
    try:
        return kind.validate_python(value, strict=True)
    except ValidationError:
        return None


# Not at start: making one takes longer than using it.
@lru_cache(maxsize=1)
def _email() -> TypeAdapter[str]:
    return TypeAdapter(Email)


@lru_cache(maxsize=1)
def _name() -> TypeAdapter[str]:
    return TypeAdapter(Name)
