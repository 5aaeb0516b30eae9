"""The ways out: into a directory, by SMTP, or through Azure Communication Services.

Each either hands a message over, or says whose fault it was: Undeliverable is the message's own, for good; Postponed is
anybody else's - a server's, the network's, a setting's - and the message waits.
"""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from uuid import uuid5

from shared import settings
from shared.mail.messages import ADDRESS
from shared.mail.models import Rendered
from shared.security import managed_identity

if TYPE_CHECKING:
    from email.message import EmailMessage
    from smtplib import SMTP

    import httpx

TIMEOUT = 10.0
"""Seconds that a server may be silent."""

ACS_VERSION = "2023-03-31"
ACS_RESOURCE = "https://communication.azure.com/"
TOKEN_MARGIN = 300.0
"""Seconds before its end at which a managed identity's token is replaced."""

Send = Callable[[Rendered], Awaitable[None]]


class Undeliverable(Exception):
    """This message will not be taken, however often it is sent. Its text is a code, with nothing of the message."""


class Postponed(Exception):
    """It could not be sent now; ``retry_after`` seconds is what the other side asked for, if it did."""

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


@asynccontextmanager
async def sender() -> AsyncIterator[Send]:
    """The way out that MAIL_SENDER names, open for a while. It may be used by several tasks at once.

    Raises (from each sending):
        Undeliverable, Postponed
    """
    match settings.current().mail_sender:
        case "file":
            yield _into_directory
        case "smtp":
            yield _by_smtp
        case "acs":
            import httpx  # brings a tenth of a second of imports

            async with httpx.AsyncClient(timeout=TIMEOUT) as http:
                yield Acs(http).send


# ---------------------------------------------------------------- file


async def _into_directory(message: Rendered) -> None:
    try:
        await asyncio.to_thread(_write, Path(settings.current().mail_directory), mime(message))
    except OSError as error:
        raise Postponed(type(error).__name__) from error


def _write(directory: Path, mail: "EmailMessage") -> None:
    """Put it there whole or not at all. A second copy takes the place of the first: its name is the same."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = mail["Message-ID"][1:].partition("@")[0]
    unfinished = directory / f"{name}.new"
    with os.fdopen(os.open(unfinished, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
        file.write(bytes(mail))
    unfinished.replace(directory / f"{name}.eml")


# ---------------------------------------------------------------- smtp


async def _by_smtp(message: Rendered) -> None:
    mail = mime(message)
    url = settings.current().smtp_url
    assert url is not None  # the settings see to it
    await asyncio.to_thread(_submit, url.get_secret_value(), mail)


def _submit(url: str, mail: "EmailMessage") -> None:
    import smtplib

    try:
        server = _greeted(url, mail["From"].addresses[0].domain)
    except (smtplib.SMTPException, OSError) as error:  # an ssl.SSLError is an OSError
        # Not the message's fault, not even where the code says "for good": a refused password is a setting to mend.
        raise Postponed(_smtp_code(error)) from error
    try:
        server.send_message(mail)
    except smtplib.SMTPRecipientsRefused as refused:
        ((code, _),) = refused.recipients.values()
        raise (Undeliverable if code >= 500 else Postponed)(f"smtp {code}") from None  # its text may quote the address
    except smtplib.SMTPDataError as refused:
        raise (Undeliverable if refused.smtp_code >= 500 else Postponed)(f"smtp {refused.smtp_code}") from None
    except smtplib.SMTPNotSupportedError:
        raise Undeliverable("smtp: the server takes no address like this") from None
    except (smtplib.SMTPException, OSError) as error:
        raise Postponed(_smtp_code(error)) from None
    else:
        with suppress(smtplib.SMTPException, OSError):  # whatever is answered to a goodbye, the message was taken
            server.quit()
    finally:
        server.close()


def _greeted(url: str, own_name: str) -> "SMTP":
    """A connection on which the next thing said is the message."""
    import smtplib
    import ssl

    parts = urlsplit(url)
    context = ssl.create_default_context()
    host = parts.hostname or ""
    if parts.scheme == "smtps":
        server: SMTP = smtplib.SMTP_SSL(host, parts.port or 465, own_name, timeout=TIMEOUT, context=context)
    else:
        server = smtplib.SMTP(host, parts.port or 587, own_name, timeout=TIMEOUT)
    try:
        if parts.scheme == "smtp" and parts.query != "starttls=no":
            server.starttls(context=context)
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
    except (smtplib.SMTPException, OSError):
        server.close()
        raise
    return server


def _smtp_code(error: Exception) -> str:
    code = getattr(error, "smtp_code", None)
    return f"smtp {code}" if code else f"smtp {type(error).__name__}"


# ---------------------------------------------------------------- acs

_token: tuple[str, float] | None = None
"""The managed identity's token and when (in Unix time) it is to be replaced."""


class Acs:
    """Azure Communication Services, as its REST reference describes it; never tried against the real service.

    202 counts as sent: from then on the service itself tries for hours, and what becomes of the message it tells Azure
    Monitor. Attempts that belong together say the same id and time, and are taken for one (learn.microsoft.com,
    "Repeatable requests"); the service remembers them for five minutes.
    """

    def __init__(self, http: "httpx.AsyncClient") -> None:
        self._http = http
        self._alone = asyncio.Lock()

    async def send(self, message: Rendered) -> None:
        import httpx

        try:
            token = await self._bearer()
            answer = await self._post(message, token)
            if answer.status_code == HTTPStatus.UNAUTHORIZED:
                answer = await self._post(message, await self._bearer(instead_of=token))
        except httpx.HTTPError as error:
            raise Postponed(f"acs {type(error).__name__}") from error
        if answer.status_code == HTTPStatus.ACCEPTED:
            return
        code = re.sub(r"[^A-Za-z0-9]", "", answer.headers.get("x-ms-error-code", ""))[:60]
        reason = f"acs {answer.status_code} {code}".rstrip()
        if answer.status_code in OUR_OWN_FAULT or answer.status_code >= 500:
            raise Postponed(reason, retry_after=_retry_after(answer.headers.get("retry-after")))
        raise Undeliverable(reason)

    async def _post(self, message: Rendered, token: str) -> "httpx.Response":
        from email.utils import format_datetime

        endpoint = settings.current().acs_endpoint
        mail = mime(message)
        request_id = str(uuid5(message.id, message.first_sent_at.isoformat()))
        return await self._http.post(
            f"{endpoint}/emails:send",
            params={"api-version": ACS_VERSION},
            headers={
                "Authorization": f"Bearer {token}",
                "Operation-Id": request_id,
                "Repeatability-Request-ID": request_id,
                "Repeatability-First-Sent": format_datetime(message.first_sent_at, usegmt=True),
                "x-ms-client-request-id": str(message.id),
            },
            json={
                "senderAddress": mail["From"].addresses[0].addr_spec,  # its name is a setting of the domain there
                "recipients": {"to": [{"address": mail["To"].addresses[0].addr_spec}]},
                "content": {"subject": message.subject, "plainText": message.text, "html": message.html},
                "headers": {name: str(mail[name]) for name in ("Message-ID", "Auto-Submitted")},
                "userEngagementTrackingDisabled": True,
            },
        )

    async def _bearer(self, *, instead_of: str | None = None) -> str:
        """The managed identity's token, asked of the platform when there is none, it is old, or was refused."""
        global _token
        async with self._alone:
            if _token is None or _token[1] <= time.time() or _token[0] == instead_of:
                _token = await self._ask_for_token()
            return _token[0]

    async def _ask_for_token(self) -> tuple[str, float]:
        try:
            question = managed_identity.ask_for(ACS_RESOURCE)
        except managed_identity.NoIdentity as none:
            raise Postponed(str(none)) from None
        answer = await self._http.get(question.url, params=question.params, headers=question.headers)
        if answer.status_code != HTTPStatus.OK:
            raise Postponed(f"identity {answer.status_code}")
        try:
            token, ends_at = managed_identity.read(answer.json())
            return token, ends_at - TOKEN_MARGIN
        except (ValueError, KeyError, TypeError):
            raise Postponed("identity: not an answer to read") from None


OUR_OWN_FAULT = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,  # the identity may not send
    HTTPStatus.NOT_FOUND,  # the sender's domain is not linked to the resource
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.PRECONDITION_FAILED,  # the attempts began too long ago for the service; the next ones begin anew
    HTTPStatus.TOO_MANY_REQUESTS,
)
"""Refusals that say nothing of the message."""


def _retry_after(text: str | None) -> float | None:
    """Seconds, as a number or as a date (RFC 9110, section 10.2.3); None where it says nothing usable."""
    from email.utils import parsedate_to_datetime

    if not text:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


# ---------------------------------------------------------------- the message itself


def mime(message: Rendered) -> "EmailMessage":
    """The message as it travels: text and HTML, and an id by which a second copy is known for one.

    Raises:
        Undeliverable: no message can be addressed so.
    """
    from email.headerregistry import Address
    from email.message import EmailMessage
    from email.policy import SMTP, SMTPUTF8
    from email.utils import localtime

    if not ADDRESS.fullmatch(message.recipient):
        raise Undeliverable("address")
    name, _, domain = _in_ascii(message.recipient).rpartition("@")
    policy = SMTP if name.isascii() else SMTPUTF8  # RFC 6531: a server that cannot do it says so
    mail = EmailMessage(policy=policy.clone(cte_type="7bit"))
    mail["From"] = settings.current().mail_from
    mail["To"] = Address(username=name, domain=domain)
    mail["Subject"] = message.subject
    mail["Date"] = localtime()
    mail["Message-ID"] = f"<{message.id}@{mail['From'].addresses[0].domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notice in return, please
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    return mail


def _in_ascii(address: str) -> str:
    """The address with its domain as DNS spells it. Only a name before the @ may need more of a server than ASCII."""
    from email_validator import EmailNotValidError, validate_email

    try:
        found = validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        return address  # one that was let in once, or a name on this machine: whoever takes mail for it will know
    return found.ascii_email or address
