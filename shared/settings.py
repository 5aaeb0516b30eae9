"""Settings: the environment, read once, checked at start, and never changed afterwards."""

import binascii
import os
import re
from base64 import b64decode
from functools import lru_cache
from typing import Annotated, Literal, Self
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic import (
    AfterValidator,
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretBytes,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)


class Limit(BaseModel):
    """So many ``hits`` in so many ``seconds``; written ``10/300``."""

    model_config = ConfigDict(frozen=True)

    hits: int = Field(ge=1, le=1_000_000)
    seconds: int = Field(ge=1, le=86_400)

    @classmethod
    def parse(cls, text: object) -> "Limit":
        if isinstance(text, Limit):
            return text
        hits, slash, seconds = str(text).partition("/")
        if not (slash and hits.strip().isdecimal() and seconds.strip().isdecimal()):
            raise ValueError("must look like 10/300: so many in so many seconds")
        return cls(hits=int(hits), seconds=int(seconds))


LimitText = Annotated[Limit, BeforeValidator(Limit.parse)]


class NamedKey(BaseModel):
    """32 secret bytes and the id they go by; written ``2026-11:`` and what ``openssl rand -base64 32`` prints."""

    model_config = ConfigDict(frozen=True)

    id: str
    secret: SecretBytes

    @classmethod
    def parse_all(cls, text: object) -> object:
        """Keys one after another, separated by commas."""
        if not isinstance(text, str):
            return text
        keys = tuple(cls._parse(part.strip()) for part in text.split(",") if part.strip())
        if len({key.id for key in keys}) != len(keys):
            raise ValueError("must give every key an id of its own")
        return keys

    @classmethod
    def _parse(cls, text: str) -> "NamedKey":
        name, _, encoded = text.partition(":")
        try:
            secret = b64decode(encoded, validate=True)
        except (ValueError, binascii.Error):
            secret = b""
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,32}", name) or len(secret) != 32:
            raise ValueError("must be keys such as 2026-11:BASE64-OF-32-BYTES, comma-separated")
        if len(set(secret)) < 16:  # of 32 random bytes, less than once in 10**16 times
            raise ValueError("must be random: openssl rand -base64 32")
        return cls(id=name, secret=SecretBytes(secret))


NamedKeys = Annotated[tuple[NamedKey, ...], BeforeValidator(NamedKey.parse_all)]


def _base_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_encrypted = parts.scheme == "https" or parts.hostname in ("127.0.0.1", "::1", "localhost")
        sound = parts.scheme in ("https", "http") and is_encrypted and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        sound = False
    if not sound or "?" in text or "#" in text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be an address such as https://api.example.com; http only of this machine")
    return text.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(_base_url)]
"""What paths are appended to."""


class Settings(BaseModel):
    """Every setting the app reads. In the environment its name is in capitals; docs/settings.md has the table."""

    model_config = ConfigDict(frozen=True, alias_generator=AliasGenerator(validation_alias=str.upper))

    database_url: SecretStr = Field(
        min_length=1,
        description="PostgreSQL as the app reaches it: Neon's pooled endpoint, as the role that migrated.",
    )
    database_pool_size: int = Field(8, ge=1, le=100, description="Connections one process may hold.")
    jwt_secret: SecretStr = Field(
        description="At least 32 bytes. Its UTF-8 bytes sign access tokens (HS256) and seal refresh tokens.",
    )
    jwt_secret_previous: SecretStr | None = Field(
        None, description="The secret before this one: still verifies, no longer signs."
    )
    jwt_private_keys: SecretStr | None = Field(
        None,
        description="PEM private keys one after another: P-256 (ES256) or Ed25519 (EdDSA). The first signs in place of "
        "JWT_SECRET; all verify and are published. Line breaks may be written as \\n.",
    )
    sealing_keys: NamedKeys = Field(
        (),
        description="Keys that seal what the database keeps and must not read (second factors, mail): `id:key`, "
        "comma-separated, a key being 32 random bytes in Base64. The first seals, all open. Unless set, derived from "
        "JWT_SECRET, and lost when that has been changed twice: set it in production.",
    )
    jwt_issuer: str = Field("jobtrail", min_length=1, description="The `iss` claim.")
    jwt_audience: str = Field("jobtrail", min_length=1, description="The `aud` claim.")
    access_token_seconds: int = Field(900, ge=60, le=3600, description="Life of an access token, before jitter.")
    refresh_grace_seconds: int = Field(
        10, ge=0, le=60, description="How long the refresh token before the current one still gets the same successor."
    )
    session_idle_days: int = Field(30, ge=1, le=365, description="A session unused for so long has ended.")
    session_absolute_days: int = Field(90, ge=1, le=365, description="A session this old has ended, used or not.")
    allowed_origins: Annotated[tuple[str, ...], BeforeValidator(lambda v: _split(v))] = Field(
        (), description="Origins that may use the refresh cookie, comma-separated: `https://app.example.com`."
    )
    require_verified_email: bool = Field(
        False, description="Whether an address must be verified before its account can sign in."
    )
    login_limit_account: LimitText = Field(Limit(hits=10, seconds=300), description="Failed logins for one account.")
    login_limit_address: LimitText = Field(
        Limit(hits=10, seconds=300), description="Failed logins from one address (an IPv6 network of 64 bits)."
    )
    login_limit_total: LimitText = Field(Limit(hits=1000, seconds=300), description="Failed logins altogether.")
    refresh_limit_session: LimitText = Field(Limit(hits=300, seconds=300), description="Refreshes of one session.")
    second_factor_limit_short: LimitText = Field(
        Limit(hits=5, seconds=300), description="Wrong codes of a second factor for one account, shortly."
    )
    second_factor_limit_hour: LimitText = Field(Limit(hits=20, seconds=3600), description="The same, in an hour.")
    second_factor_limit_day: LimitText = Field(Limit(hits=50, seconds=86_400), description="The same, in a day.")
    passkey_rp_id: str | None = Field(
        None,
        description="The domain passkeys belong to, with all that is under it: `example.com`. Whoever changes it loses "
        "every passkey. Unless set, the host of APP_URL. Pages of APP_URL and ALLOWED_ORIGINS may use them.",
    )
    passkey_rp_name: str = Field(
        "Jobtrail", min_length=1, max_length=64, description="What people are told that a passkey is for."
    )
    passkey_limit_address: LimitText = Field(
        Limit(hits=10, seconds=300), description="Failed sign-ins with a passkey from one address."
    )
    passkey_begin_limit_address: LimitText = Field(
        Limit(hits=60, seconds=300), description="Sign-ins with a passkey begun from one address."
    )
    oauth_google_client_id: str | None = Field(
        None, description="With the secret, turns signing in with Google on; from its Cloud console."
    )
    oauth_google_client_secret: SecretStr | None = Field(None, description="The secret that belongs to it.")
    oauth_google_base_url: BaseUrl | None = Field(
        None,
        description="Stands in for `https://accounts.google.com`, `https://oauth2.googleapis.com` and "
        "`https://www.googleapis.com`; for tests.",
    )
    oauth_github_client_id: str | None = Field(
        None, description="With the secret, turns signing in with GitHub on; from the OAuth app's settings."
    )
    oauth_github_client_secret: SecretStr | None = Field(None, description="The secret that belongs to it.")
    oauth_github_base_url: BaseUrl | None = Field(
        None, description="Stands in for `https://github.com` and `https://api.github.com`; for tests."
    )
    oauth_microsoft_client_id: str | None = Field(
        None, description="With the secret, turns signing in with Microsoft on; from the app registration in Entra."
    )
    oauth_microsoft_client_secret: SecretStr | None = Field(None, description="The secret that belongs to it.")
    oauth_microsoft_base_url: BaseUrl | None = Field(
        None, description="Stands in for `https://login.microsoftonline.com`; for tests."
    )
    oauth_microsoft_tenant: str = Field(
        "common",
        pattern=r"^(common|organizations|consumers|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$",
        description="Whose Microsoft accounts may sign in: `common` (all), `organizations`, `consumers`, or a tenant's "
        "id.",
    )
    oauth_callback_base_url: BaseUrl | None = Field(
        None,
        description="This API's public address, `https://api.example.com`: providers send browsers back to "
        "`/api/auth/oauth/{provider}/callback` below it.",
    )
    oauth_limit_address: LimitText = Field(
        Limit(hits=60, seconds=300),
        description="Sign-ins with a provider begun, and as many finished, from one address.",
    )
    register_limit_address: LimitText = Field(
        Limit(hits=100, seconds=300), description="Registrations from one address."
    )
    verification_limit_account: LimitText = Field(
        Limit(hits=3, seconds=21_600), description="Links to verify an address that one account may ask for."
    )
    reset_limit_account: LimitText = Field(
        Limit(hits=5, seconds=86_400), description="Password resets asked for one account, whether or not there is one."
    )
    reset_limit_address: LimitText = Field(
        Limit(hits=30, seconds=300), description="Password resets asked for from one address."
    )
    redemption_limit_address: LimitText = Field(
        Limit(hits=30, seconds=300), description="Tokens from mail presented from one address."
    )
    change_email_limit_account: LimitText = Field(
        Limit(hits=5, seconds=86_400), description="Changes of address that one account may ask for."
    )
    capture_limit_user: LimitText = Field(
        Limit(hits=30, seconds=300), description="Pages that one account may have fetched from the web."
    )
    capture_allow_private: bool = Field(
        False,
        description="Whether pages are also fetched from private addresses and other ports; for tests, and refused on "
        "Azure.",
    )
    trusted_proxy_hops: int = Field(
        0,
        ge=0,
        le=10,
        description="Whose word to take for a client's address. 0: the host's own (`Client-IP`). n: the n-th entry of "
        "`X-Forwarded-For` from the right. On Azure set 1.",
    )
    password_min_length: int = Field(10, ge=8, le=64, description="Code points a new password must have.")
    password_pepper_keys: NamedKeys = Field(
        (),
        description="Keys that seal password hashes, written as in SEALING_KEYS. The first seals, all open; hashes "
        "under another one, or under none, are sealed anew at login. Whoever's key is lost needs a new password.",
    )
    password_pepper_keys_previous: NamedKeys = Field(
        (),
        description="Keys that only open. To give the pepper up, move PASSWORD_PEPPER_KEYS here: hashes are kept plain "
        "again from the next login on.",
    )
    breached_passwords_url: str | None = Field(
        None,
        description="Where new passwords are looked up by five digits of their SHA-1, if anywhere: "
        "`https://api.pwnedpasswords.com/range/`. When it does not answer within a second, the password passes.",
    )
    audit_retention_days: int = Field(730, ge=30, le=36_500, description="Days after which audit events are forgotten.")
    password_hash_workers: int | None = Field(
        None, ge=1, le=64, description="Password hashes computed at once (19 MiB each); the number of cores unless set."
    )
    app_url: str = Field(
        "http://127.0.0.1:7071",
        description="Where people use the app: the front end's address. Links in mail begin with it, and with nothing "
        "that a request says of itself. https, but on this machine.",
    )
    api_url: BaseUrl | None = Field(
        None,
        description="This API's public address, which calendar feeds and shares are read at. Unless set, "
        "OAUTH_CALLBACK_BASE_URL, or else APP_URL.",
    )
    mail_sender: Literal["file", "smtp", "acs"] = Field(
        "file",
        description="How mail leaves: `file` (into MAIL_DIRECTORY, and no further; refused on Azure), `smtp`, or `acs` "
        "(Azure Communication Services).",
    )
    mail_from: str = Field(
        "Jobtrail <no-reply@localhost>",
        description="Who mail is from: an address, or a name with an address in angle brackets.",
    )
    mail_directory: str = Field(".local/mail", description="Where `file` puts messages, as .eml.")
    smtp_url: SecretStr | None = Field(
        None,
        description="`smtp://user:password@host:587` (STARTTLS, insisted on) or `smtps://host:465`; "
        "`?starttls=no` is for a server on this machine. Reserved characters are percent-encoded.",
    )
    acs_endpoint: str | None = Field(
        None, description="`https://NAME.communication.azure.com`; the app's managed identity must be allowed to send."
    )
    azure_client_id: str | None = Field(
        None, description="Which user-assigned managed identity to use; the system-assigned one unless set."
    )
    mail_at_once: bool = Field(
        True, description="Send right after the response; otherwise mail waits for the timer `deliver_mail`."
    )

    file_store: Literal["folder", "azure"] = Field(
        "folder",
        description="Where files are kept: `folder` (FILE_DIRECTORY; refused on Azure), or `azure` (Blob Storage).",
    )
    file_directory: str = Field(".local/files", description="Where `folder` keeps files.")
    file_account_url: BaseUrl | None = Field(
        None,
        description="`https://NAME.blob.core.windows.net`; the app's managed identity must be Storage Blob Data "
        "Contributor there, which includes asking for user delegation keys.",
    )
    file_connection_string: SecretStr | None = Field(
        None, description="Instead of FILE_ACCOUNT_URL, for Azurite: a storage connection string with an account key."
    )
    file_container: str = Field(
        "files",
        pattern=r"^[a-z0-9](-?[a-z0-9]){2,62}$",
        max_length=63,
        description="The container that files are in; it must be there, and private.",
    )
    file_scanner: Literal["none", "defender", "eicar"] = Field(
        "none",
        description="Who says whether a file is clean: `none` (nobody: every file is), `defender` (Microsoft Defender "
        "for Storage, with FILE_STORE `azure`), or `eicar` (finds the EICAR test file only; refused on Azure).",
    )

    @field_validator("jwt_secret", "jwt_secret_previous")
    @classmethod
    def _strong(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value().encode()) < 32:  # RFC 7518, section 3.2
            raise ValueError("must be at least 32 bytes, and random")
        return secret

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            scheme, _, host = origin.partition("://")
            if scheme not in ("https", "http") or not host or "/" in host or "*" in host or origin != origin.lower():
                raise ValueError("must be origins such as https://app.example.com, without a path or a wildcard")
        return origins

    @field_validator("breached_passwords_url")
    @classmethod
    def _private(cls, url: str | None) -> str | None:
        if url is not None and not re.fullmatch(
            r"(https://[^/?#\s@]+|http://(localhost|127\.0\.0\.1)(:\d+)?)(/[^?#\s]*)?", url
        ):
            raise ValueError("must be an https address such as https://api.pwnedpasswords.com/range/")
        return url

    @property
    def own_url(self) -> str:
        """This API's address, as programs outside reach it."""
        return self.api_url or self.oauth_callback_base_url or self.app_url

    @field_validator("app_url", "acs_endpoint")
    @classmethod
    def _web_address(cls, address: str | None) -> str | None:
        if address is None:
            return None
        parts = _address(address)
        if (
            parts is None
            or parts.scheme not in ("https", "http")
            or (parts.scheme == "http" and not _is_local(parts))
            or parts.query
            or parts.fragment
            or parts.username is not None
            or re.search(r"[\s<>\"'\\]", address)
        ):
            raise ValueError("must be an https address without a query, such as https://app.example.com")
        return address.rstrip("/")

    @field_validator("mail_from")
    @classmethod
    def _mailbox(cls, sender: str) -> str:
        if not sender.isprintable() or not re.fullmatch(
            r"([^<>@\",;:\\]+ <[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)", sender
        ):
            raise ValueError("must look like no-reply@example.com or Jobtrail <no-reply@example.com>")
        return sender

    @field_validator("smtp_url")
    @classmethod
    def _smtp(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:
            return None
        parts = _address(url.get_secret_value())
        if parts is None or parts.scheme not in ("smtp", "smtps") or parts.path not in ("", "/") or parts.fragment:
            raise ValueError("must look like smtp://user:password@smtp.example.com:587")
        options = parse_qsl(parts.query, keep_blank_values=True)
        if options not in ([], [("starttls", "yes")], [("starttls", "no")]):
            raise ValueError("takes no option but starttls=yes or starttls=no")
        if options == [("starttls", "no")] and not _is_local(parts):
            raise ValueError("may have starttls=no on this machine only: mail holds secrets")
        return url

    @field_validator("passkey_rp_id")
    @classmethod
    def _domain(cls, domain: str | None) -> str | None:
        label = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
        if domain not in (None, "localhost") and not re.fullmatch(rf"({label}\.)+[a-z]{label}", domain):
            raise ValueError("must be a domain such as example.com, in lower case, without scheme or port")
        return domain

    @model_validator(mode="after")
    def _whole_providers(self) -> Self:
        for provider in ("GOOGLE", "GITHUB", "MICROSOFT"):
            client = f"OAUTH_{provider}_CLIENT_ID", f"OAUTH_{provider}_CLIENT_SECRET"
            given = [bool(getattr(self, name.lower())) for name in client]
            if any(given) and not all(given):
                raise ValueError(f"{client[0]} and {client[1]} must be set together")
            if any(given) and self.oauth_callback_base_url is None:
                raise ValueError(f"OAUTH_CALLBACK_BASE_URL must be set where {client[0]} is")
        return self

    @model_validator(mode="after")
    def _sane(self) -> Self:
        if self.session_idle_days > self.session_absolute_days:
            raise ValueError("SESSION_IDLE_DAYS must not exceed SESSION_ABSOLUTE_DAYS")
        ids = [key.id for key in (*self.password_pepper_keys, *self.password_pepper_keys_previous)]
        if len(set(ids)) != len(ids):
            raise ValueError("PASSWORD_PEPPER_KEYS and PASSWORD_PEPPER_KEYS_PREVIOUS must not share an id")
        if self.trusted_proxy_hops == 0 and "WEBSITE_INSTANCE_ID" in os.environ:
            raise ValueError("TRUSTED_PROXY_HOPS must be 1 or more on Azure, or callers could choose their address")
        if self.capture_allow_private and "WEBSITE_INSTANCE_ID" in os.environ:
            raise ValueError("CAPTURE_ALLOW_PRIVATE must not be set on Azure, or callers could reach what the app can")
        self._check_mail()
        self._check_passkeys()
        self._check_files()
        return self

    def _check_passkeys(self) -> None:
        hosts = [urlsplit(origin).hostname or "" for origin in (self.app_url, *self.allowed_origins)]
        domain = self.passkey_rp_id
        if domain and not any(host == domain or host.endswith(f".{domain}") for host in hosts):
            raise ValueError("PASSKEY_RP_ID must be the host of APP_URL or of an allowed origin, or a domain above it")

    def _check_files(self) -> None:
        ways = [bool(self.file_account_url), bool(self.file_connection_string)]
        if self.file_store == "azure" and sum(ways) != 1:
            raise ValueError("one of FILE_ACCOUNT_URL and FILE_CONNECTION_STRING must be set when FILE_STORE is azure")
        if self.file_scanner == "defender" and self.file_store != "azure":
            raise ValueError("FILE_STORE must be azure when FILE_SCANNER is defender")
        if "WEBSITE_INSTANCE_ID" in os.environ:
            if self.file_store == "folder":
                raise ValueError("FILE_STORE must be azure on Azure, or files would be lost with the instance")
            if self.file_scanner == "eicar":
                raise ValueError("FILE_SCANNER must be none or defender on Azure: eicar finds a test file only")

    def _check_mail(self) -> None:
        if self.mail_sender == "smtp" and self.smtp_url is None:
            raise ValueError("SMTP_URL must be set when MAIL_SENDER is smtp")
        if self.mail_sender == "acs" and self.acs_endpoint is None:
            raise ValueError("ACS_ENDPOINT must be set when MAIL_SENDER is acs")
        if self.mail_sender != "file" and "mail_from" not in self.model_fields_set:
            raise ValueError("MAIL_FROM must be set when MAIL_SENDER is not file")
        if "WEBSITE_INSTANCE_ID" in os.environ:
            if self.mail_sender == "file":
                raise ValueError("MAIL_SENDER must be smtp or acs on Azure, or mail would reach nobody")
            if not self.app_url.startswith("https://"):
                raise ValueError("APP_URL must be the front end's https address on Azure, or links would lead nowhere")


class SettingsError(Exception):
    """The environment cannot be used. The message names every setting at fault and never shows a value."""


@lru_cache(maxsize=1)
def current() -> Settings:
    """The settings of this process.

    Raises:
        SettingsError: something is missing, malformed or too weak.
    """
    known = {name: os.environ[name] for name in map(str.upper, Settings.model_fields) if os.environ.get(name)}
    try:
        return Settings.model_validate(known)
    except ValidationError as invalid:
        faults = (
            f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg'].removeprefix('Value error, ')}"
            for e in invalid.errors(include_url=False, include_context=False, include_input=False)
        )
        raise SettingsError("; ".join(faults)) from None


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _address(text: str) -> SplitResult | None:
    """The parts of a URL that has a host; None where there is none, or no port that could be one."""
    try:
        parts = urlsplit(text)
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:
        return None


def _is_local(parts: SplitResult) -> bool:
    return parts.hostname in ("localhost", "127.0.0.1", "::1")
