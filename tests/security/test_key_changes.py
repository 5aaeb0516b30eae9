"""Changing keys while people are signed in: at every step the old process and the new one run, and nobody notices."""

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import jwt
import pytest

from tests.conftest import SECRET, Client
from tests.processes import AppProcess
from tests.security.forge import bearer, new_pem
from tests.sessions.rows import OpenSession, Sql, open_session

S1, S2 = SECRET, secrets.token_urlsafe(48)
K1, K2 = new_pem("ES256"), new_pem("EdDSA")
PRIVATE_KEYS = [{"JWT_PRIVATE_KEYS": keys} for keys in (K1, K1 + K2, K2 + K1, K2)]
SECRETS = [
    {"JWT_SECRET": S1},
    {"JWT_SECRET": S1, "JWT_SECRET_PREVIOUS": S2},  # "previous" verifies and does not sign: so may the next one
    {"JWT_SECRET": S2, "JWT_SECRET_PREVIOUS": S1},
    {"JWT_SECRET": S2},
]

Stages = list[Client]


@contextmanager
def running(settings: list[dict[str, str]], logs: Path) -> Iterator[Stages]:
    """A process for each stage."""
    with ExitStack() as stack:
        clients = []
        for number, stage in enumerate(settings):
            process = AppProcess({**os.environ, "REFRESH_GRACE_SECONDS": "60"} | stage, logs / f"{number}.log")
            stack.callback(process.stop)
            clients.append(Client(process.url))
            stack.callback(clients[-1].close)
        yield clients


@pytest.fixture(scope="module")
def key_stages(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    with running(PRIVATE_KEYS, tmp_path_factory.mktemp("keys")) as stages:
        yield stages


@pytest.fixture(scope="module")
def secret_stages(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    with running(SECRETS, tmp_path_factory.mktemp("secrets")) as stages:
        yield stages


class Visitor:
    """Somebody signed in, who meets one process after the other."""

    def __init__(self, session: OpenSession) -> None:
        self.refresh_token = session.refresh_token()

    def refresh(self, at: Client) -> str:
        """The access token of the next pair."""
        answer = at.post("/api/auth/refresh", {"refresh_token": self.refresh_token})
        assert answer.status_code == 200, answer.text
        self.refresh_token = answer.json()["refresh_token"]
        return str(answer.json()["access_token"])


def status(app: Client, access_token: str) -> int:
    return app.get("/api/auth/status", headers=bearer(access_token)).status_code


def change_step_by_step(stages: Stages, visitor: Visitor) -> list[str]:
    """Each stage takes over from the one before while both run. The last access token of each stage."""
    last = [visitor.refresh(stages[0])]
    for old, new in pairwise(stages):
        issued = [last[-1]]
        for app in (new, old, new):
            issued.append(visitor.refresh(app))
            for token in issued:
                assert [status(old, token), status(new, token)] == [200, 200]
        last.append(issued[-1])
    return last


def test_a_private_key_is_changed_in_three_steps_without_one_401(key_stages: Stages, sql: Sql) -> None:
    tokens = change_step_by_step(key_stages, Visitor(open_session(sql)))
    assert [jwt.get_unverified_header(token)["alg"] for token in tokens] == ["ES256", "ES256", "EdDSA", "EdDSA"]
    assert status(key_stages[-1], tokens[0]) == 401  # the key that was given up is good for nothing
    assert status(key_stages[0], tokens[-1]) == 401  # without the steps between, there would have been 401s


def test_a_service_with_the_keys_of_one_step_ago_verifies_the_tokens_of_the_next(key_stages: Stages, sql: Sql) -> None:
    """Key sets are kept for minutes, so each step must do with the one before it."""
    visitor = Visitor(open_session(sql))
    for old, new in pairwise(key_stages):
        published = jwt.PyJWKSet.from_dict(old.get("/.well-known/jwks.json").json())
        token = visitor.refresh(new)
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(
            token, published[header["kid"]], algorithms=[header["alg"]], audience="jobtrail", issuer="jobtrail"
        )
        assert claims["role"] == "user"


@pytest.mark.parametrize("stage", [0, 3], ids=["ES256", "EdDSA"])
def test_an_app_that_gets_a_private_key_knows_what_the_secret_signed(
    client: Client, key_stages: Stages, sql: Sql, stage: int
) -> None:
    """From HS256: whoever signed in before stays signed in."""
    old, new = client, key_stages[stage]
    visitor = Visitor(open_session(sql))
    before = visitor.refresh(old)
    assert [status(old, before), status(new, before)] == [200, 200]
    after = visitor.refresh(new)
    algorithms = [jwt.get_unverified_header(token)["alg"] for token in (before, after)]
    assert algorithms == ["HS256", "ES256" if stage == 0 else "EdDSA"]
    assert [status(new, before), status(new, after)] == [200, 200]


def test_the_secret_is_changed_in_three_steps_without_one_401(secret_stages: Stages, sql: Sql) -> None:
    tokens = change_step_by_step(secret_stages, Visitor(open_session(sql)))
    assert status(secret_stages[-1], tokens[0]) == 401
    assert status(secret_stages[0], tokens[-1]) == 401


def test_a_new_secret_keeps_everybody_signed_in_who_was(secret_stages: Stages, sql: Sql) -> None:
    """In one step, all processes at once: both kinds of tokens of the secret before go on working."""
    old, _, new, _ = secret_stages
    visitor = Visitor(open_session(sql))
    before = visitor.refresh(old)
    assert status(new, before) == 200
    assert status(new, visitor.refresh(new)) == 200
    assert status(new, visitor.refresh(new)) == 200


def test_a_lost_answer_is_given_again_across_a_change_of_secret(secret_stages: Stages, sql: Sql) -> None:
    """The successor's seal is another one then, but it is the same generation, and both are good."""
    old, _, new, _ = secret_stages
    session = open_session(sql)
    first = old.post("/api/auth/refresh", {"refresh_token": session.refresh_token()})
    again = new.post("/api/auth/refresh", {"refresh_token": session.refresh_token()})
    assert (first.status_code, again.status_code) == (200, 200)
    assert (session.row(sql).generation, session.row(sql).revoked_reason) == (2, None)
    for answer in (first, again):
        token = answer.json()["refresh_token"]
        assert new.post("/api/auth/refresh", {"refresh_token": token}).status_code == 200


def test_a_secret_that_was_given_up_signs_and_seals_nothing(secret_stages: Stages, sql: Sql) -> None:
    session = open_session(sql)
    app = secret_stages[-1]
    assert app.get("/api/auth/status", headers=session.bearer).json()["code"] == "invalid_token"
    refused = app.post("/api/auth/refresh", {"refresh_token": session.refresh_token()})
    assert (refused.status_code, refused.json()["code"]) == (401, "refresh_token_invalid")
    assert session.row(sql).generation == 1
