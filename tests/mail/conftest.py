"""What the tests of mail share: an outbox that is theirs, deliveries, and servers that take mail or do not."""

import asyncio
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from local.project import ROOT
from shared import connections, db, mail, settings
from shared.mail import Delivery, Message, senders
from tests.processes import free_port

Sql = psycopg.Connection[Any]
Result = TypeVar("Result")
Row = dict[str, Any]

ADA = "ada@example.com"
TOKEN = "t0ken-that-nobody-should-read"
VERIFY = Message("verify_email", ADA, {"token": TOKEN})
NOTICE = Message("password_changed", ADA)

DELIVER = "import asyncio; from shared import mail; asyncio.run(mail.deliver())"


@pytest.fixture(autouse=True)
def outbox(sql: Sql) -> Iterator[Callable[[], list[Row]]]:
    """An outbox that holds nothing of other tests; tells its rows, the oldest first."""
    sql.execute("DELETE FROM mail_outbox")
    yield lambda: [
        row for (row,) in sql.execute("SELECT to_jsonb(o) FROM mail_outbox o ORDER BY created_at, id").fetchall()
    ]
    sql.execute("DELETE FROM mail_outbox")


@pytest.fixture
def configured(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Gives this process, and those it starts, other settings until the end of the test."""

    def configure(**changes: str) -> None:
        for name, value in changes.items():
            monkeypatch.setenv(name, value)
        settings.current.cache_clear()
        senders._token = None

    configure()
    yield configure
    monkeypatch.undo()
    settings.current.cache_clear()


@pytest.fixture
def run(configured: Callable[..., None]) -> Iterator[Callable[[Coroutine[Any, Any, Result]], Result]]:
    """Runs a coroutine on a pool of its own, which is closed afterwards."""
    apps_pool, connections._present = connections._present, None

    async def closing(errand: Coroutine[Any, Any, Result]) -> Result:
        try:
            return await errand
        finally:
            for connection in connections.pool()._idle:
                await connection.close()

    yield lambda errand: asyncio.run(closing(errand))
    connections._present = apps_pool


@pytest.fixture
def post(run: Callable[..., Any]) -> Callable[..., None]:
    """Posts messages that belong to no account."""

    def post(*messages: Message) -> None:
        run(db.as_service(mail.guard(*messages, user_id=None)).write(db.NOTHING))

    return post


@pytest.fixture
def deliver(run: Callable[..., Any]) -> Callable[[], Delivery]:
    return lambda: run(mail.deliver())


@pytest.fixture
def begin_delivery(configured: Callable[..., None]) -> Callable[[], subprocess.Popen[str]]:
    """Begins a delivery in a process of its own."""

    def begin() -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", DELIVER], cwd=ROOT, env=dict(os.environ), text=True)

    return begin


def due_now(sql: Sql) -> None:
    """Let the time pass that queued messages wait for."""
    sql.execute("UPDATE mail_outbox SET due_at = now() WHERE state = 'queued'")


# ---------------------------------------------------------------- smtp


@dataclass
class Server:
    """A mail server. ``answers`` says, message by message, how DATA is answered; after the last it accepts."""

    answers: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    on_message: Callable[[], None] = lambda: None
    hangs_up: bool = False
    pause: float = 0.0
    goodbye: str = "221 Bye"
    taken: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    was_encrypted: list[bool] = field(default_factory=list)
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?starttls=no"

    async def handle_RCPT(self, _s: SMTP, _: Session, envelope: Envelope, address: str, _o: Any) -> str:  # noqa: N802
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.hangs_up:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
            return "250 never heard"
        await asyncio.sleep(self.pause)
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            parsed = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(parsed, EmailMessage)
            self.taken.append(parsed)
            self.envelopes.append((str(envelope.mail_from), list(envelope.rcpt_tos)))
            self.was_encrypted.append(session.ssl is not None)
            self.on_message()
        return answer

    async def handle_QUIT(self, _s: SMTP, _: Session, _e: Envelope) -> str:  # noqa: N802
        return self.goodbye

    def authenticate(self, _s: SMTP, _: Session, _e: Envelope, _m: str, data: LoginPassword) -> AuthResult:
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password == b"p@ss/word", handled=False)


@pytest.fixture
def new_server(configured: Callable[..., None]) -> Iterator[Callable[..., Server]]:
    """Starts mail servers, and makes the newest one ours."""
    with ExitStack() as stack:

        def start(*, tls: ssl.SSLContext | None = None, **behaviour: Any) -> Server:
            server = Server(**behaviour)
            controller = Controller(
                server,
                hostname="127.0.0.1",
                port=server.port,
                tls_context=tls,
                require_starttls=tls is not None,
                authenticator=server.authenticate,
            )
            controller.start()
            stack.callback(controller.stop)
            configured(MAIL_SENDER="smtp", MAIL_FROM="Jobtrail <no-reply@jobtrail.example>", SMTP_URL=server.url)
            return server

        yield start


@dataclass(frozen=True)
class Certificate:
    """A certificate for 127.0.0.1, signed by itself."""

    file: Path
    context: ssl.SSLContext


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.example.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    directory = tmp_path_factory.mktemp("certificate")
    pem = made.public_bytes(serialization.Encoding.PEM)
    (directory / "certificate.pem").write_bytes(pem)
    (directory / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / "certificate.pem", directory / "key.pem")
    return Certificate(directory / "certificate.pem", context)


# ---------------------------------------------------------------- acs


@dataclass
class Asked:
    """A request as the service saw it."""

    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


Answer = tuple[int, dict[str, str], Any]
ACCEPTED: Answer = (
    202,
    {"Operation-Location": "https://jobtrail.communication.azure.com/emails/operations/1?api-version=2023-03-31"},
    {"id": "1", "status": "Running", "error": None},
)


@dataclass
class Azure:
    """Communication Services and the identity endpoint of the platform, on one port."""

    answers: list[Answer] = field(default_factory=list)
    tokens: list[Answer] = field(default_factory=list)
    token_life: float = 86_400.0
    sent: list[Asked] = field(default_factory=list)
    asked_for_tokens: list[Asked] = field(default_factory=list)
    url: str = ""

    def answer(self, request: Asked) -> Answer:
        if request.path == "/msi/token":
            self.asked_for_tokens.append(request)
            if self.tokens:
                return self.tokens.pop(0)
            expires_on = int(datetime.now(UTC).timestamp() + self.token_life)
            return (
                200,
                {},
                {
                    "access_token": f"token-{len(self.asked_for_tokens)}",
                    "expires_on": str(expires_on),
                    "resource": "https://communication.azure.com/",
                    "token_type": "Bearer",
                },
            )
        self.sent.append(request)
        return self.answers.pop(0) if self.answers else ACCEPTED


@pytest.fixture
def azure(configured: Callable[..., None]) -> Iterator[Azure]:
    azure = Azure()

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            parts = urlsplit(self.path)
            data = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(parts.path, parse_qs(parts.query), headers, json.loads(data) if data else None)
            status, fields, body = azure.answer(asked)
            said = json.dumps(body).encode()
            self.send_response(status)
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = _any  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        azure.url = f"http://127.0.0.1:{server.server_port}"
        configured(
            MAIL_SENDER="acs",
            MAIL_FROM="Jobtrail <no-reply@jobtrail.example>",
            ACS_ENDPOINT=azure.url,
            IDENTITY_ENDPOINT=f"{azure.url}/msi/token",
            IDENTITY_HEADER="the platform's secret",
        )
        yield azure
        server.shutdown()
