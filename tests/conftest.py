"""What the tests share: a real PostgreSQL, the app served over real HTTP, and people who use it."""

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from local import host, postgres, serve
from local.project import host_json
from shared import migrations
from tests.identities.provider import Provider

PASSWORD = "correct horse battery staple"
ORIGIN = "https://app.example.com"
APP_URL = "https://app.example.com"
PASSKEY_RP_ID = "example.com"
SECRET = "a secret that only the tests have, 48 bytes long"


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Server]:
    data = tmp_path_factory.mktemp("data")
    with postgres.claimed(data):
        server = postgres.Server(data)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def database_url(postgres_server: postgres.Server) -> str:
    """A migrated database, as its owner reaches it: no superuser, just as on Neon."""
    url = os.environ.get("JOBTRAIL_TEST_DATABASE_URL") or postgres_server.url
    migrations.upgrade(url)
    return url


@pytest.fixture
def sql(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """The database by itself, to look behind the app or to put it into a state."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def oauth_provider() -> Iterator[Provider]:
    """Google, GitHub and Microsoft, on this machine."""
    provider = Provider()
    yield provider
    provider.stop()


@pytest.fixture(scope="session")
def environment(
    database_url: str, oauth_provider: Provider, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The settings the tests' app runs with. Each person has an address of its own, so limits do not mix."""
    settings = {
        "DATABASE_URL": database_url,
        "JWT_SECRET": SECRET,
        "ALLOWED_ORIGINS": ORIGIN,
        "PASSKEY_RP_ID": PASSKEY_RP_ID,
        "TRUSTED_PROXY_HOPS": "1",
        "LOGIN_LIMIT_TOTAL": "1000000/300",
        "APP_URL": APP_URL,
        "MAIL_DIRECTORY": str(tmp_path_factory.mktemp("mail")),
        "CAPTURE_ALLOW_PRIVATE": "true",  # the web of the tests is on this machine
        "FILE_DIRECTORY": str(tmp_path_factory.mktemp("files")),
        "MAIL_AT_ONCE": "false",  # a delivery in the background would be among the round trips that are counted
        **oauth_provider.settings,
    }
    os.environ.update(settings)
    return settings


@pytest.fixture(scope="session")
def app_url(environment: dict[str, str]) -> Iterator[str]:
    """The app in this process, behind the local host on a free port."""
    from function_app import app

    with serve.in_thread(host.build(app.get_functions(), host=host_json())) as url:
        yield url


def any_address() -> str:
    """An address nobody else in the tests has, spelled as PostgreSQL spells it."""
    return str(IPv6Address(f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::{secrets.token_hex(2)}"))


@dataclass
class Client:
    """Calls the app as somebody at an address of their own; every answer is held against the OpenAPI document."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    checked: bool = True

    def __post_init__(self) -> None:
        from tests.contract import Contract

        self.headers = {"X-Forwarded-For": any_address()} | self.headers
        hooks = {"response": [_the_contract(Contract).check]} if self.checked else {}
        self._http = httpx.Client(base_url=self.url, timeout=30, event_hooks=hooks)

    def __call__(self, method: str, path: str, json: Any = None, **options: Any) -> httpx.Response:
        headers = {**self.headers, **(options.pop("headers", None) or {})}
        if json is not None:
            options["json"] = json
        return self._http.request(method, path, headers=headers, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return self("POST", path, json, **options)

    def patch(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return self("PATCH", path, json, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self("DELETE", path, **options)

    def close(self) -> None:
        self._http.close()


@dataclass
class Person(Client):
    """Somebody with an account, signed in."""

    email: str = ""
    password: str = PASSWORD
    tokens: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return str(self.tokens["user"]["id"])

    @property
    def refresh_token(self) -> str:
        return str(self.tokens["refresh_token"])

    def bear(self, tokens: dict[str, Any]) -> None:
        """Use these tokens from now on."""
        self.tokens = tokens
        self.headers["Authorization"] = f"Bearer {tokens['access_token']}"

    def upload(self, content: bytes = b"A resume.\n", name: str = "cv.txt", **options: Any) -> httpx.Response:
        """Upload a file with the request; ``data`` are the fields that come with it."""
        return self("POST", "/api/files", files={"file": (name, content)}, **options)

    def create_application(self, **fields: Any) -> dict[str, Any]:
        """An application as it is from then on: without the warnings that only its creation is answered with."""
        response = self.post("/api/applications", {"company": "Contoso", "position": "Engineer", **fields})
        assert response.status_code == 201, response.text
        document: dict[str, Any] = response.json()
        document.pop("warnings", None)
        return document


_contracts: list[Any] = []


def _the_contract(make: Callable[[], Any]) -> Any:
    if not _contracts:
        _contracts.append(make())
    return _contracts[0]


@pytest.fixture
def client(app_url: str) -> Iterator[Client]:
    """Somebody without an account."""
    somebody = Client(app_url)
    yield somebody
    somebody.close()


@pytest.fixture
def new_person(app_url: str) -> Iterator[Callable[..., Person]]:
    """Makes people: each registers, and is signed in."""
    made: list[Person] = []

    def make(url: str = app_url, **fields: Any) -> Person:
        person = Person(url, email=f"{secrets.token_hex(8)}@example.com")
        made.append(person)
        response = person.post("/api/auth/register", {"email": person.email, "password": PASSWORD, **fields})
        assert response.status_code == 201, response.text
        person.bear(response.json())
        return person

    yield make
    for person in made:
        person.close()


@pytest.fixture
def person(new_person: Callable[..., Person]) -> Person:
    return new_person()


@dataclass
class Mail:
    """A message as somebody found it in the mailbox."""

    subject: str
    text: str
    html: str
    links: list[str]

    @property
    def token(self) -> str:
        """The token in its one link."""
        (link,) = self.links
        return link.partition("#token=")[2]


@pytest.fixture
def mail_to(app_url: str) -> Callable[[str], list[Mail]]:
    """Has what is due delivered, and gives the mail that ever came to an address, the newest first."""

    def read(address: str) -> list[Mail]:
        delivered = httpx.post(f"{app_url}/_local/timers/deliver_mail", timeout=30)
        assert delivered.status_code == 200, delivered.text
        found = httpx.get(f"{app_url}/_local/mailbox.json", params={"to": address}).json()["messages"]
        return [Mail(mail["subject"], mail["text"], mail["html"], mail["links"]) for mail in found]

    return read


@pytest.fixture
def new_admin(new_person: Callable[..., Person], sql: psycopg.Connection[Any]) -> Callable[..., Person]:
    """Makes administrators, with addresses that were proved: every route is open to them."""

    def make(*where: str, **fields: Any) -> Person:
        person = new_person(*where, **fields)
        sql.execute("UPDATE users SET role = 'admin', email_verified_at = now() WHERE id = %s", [person.id])
        person.bear(person.post("/api/auth/refresh", {"refresh_token": person.refresh_token}).json())
        return person

    return make


@pytest.fixture
def admin(new_admin: Callable[..., Person]) -> Person:
    return new_admin()


@pytest.fixture
def start_app(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts the app in a process of its own, with settings of its own; gives its URL."""
    from tests.processes import AppProcess

    started: list[AppProcess] = []

    def start(**settings: str) -> str:
        process = AppProcess(environment | settings, tmp_path / f"app-{len(started)}.log")
        started.append(process)
        return process.url

    yield start
    for process in started:
        process.stop()
