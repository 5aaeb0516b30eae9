"""Every operation, called with what its description allows and with what it forbids: it keeps to the description."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from secrets import token_hex
from typing import Any
from urllib.parse import parse_qsl

import hypothesis
import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.conftest import PASSWORD, Person, any_address
from tests.db import walk
from tests.passkeys import ceremonies

Operation = APIOperation[Any, Any, Any, Any]

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
SETTINGS = hypothesis.settings(
    max_examples=15,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
ENDING_SESSIONS = ("logout", "logout_all", "change_password", "change_email")
"""Operations after which their caller is nobody, or may not do so again: each call is somebody else's."""

BY_MAIL_OR_PASSWORD = ("verify_email", "reset_password", "change_password")
"""Operations that succeed only with what nobody could make up."""

ABOUT_SOMETHING = ("merge_applications", "create_saved_view", "update_saved_view")
"""Operations whose body names what is there, or is in a language of its own."""

FOR_ADMINISTRATORS = (
    *("get_jwt_info", "search_users", "get_user", "change_user", "end_sessions", "grant_quota", "restore_quota"),
    *("search_events", "get_metrics"),
)


OF_WHAT_IS_THERE = ("finish_login", "reauthenticate", "enable_totp", "create_share", "capture_application")
"""Operations whose bodies speak of something that is there, or of an answer to it."""


class Caller:
    """Calls one operation, as somebody of its own, about things that are there."""

    def __init__(self, operation_id: str, new_person: Callable[[], Person], sql: psycopg.Connection[Any]) -> None:
        self._operation_id = operation_id
        self._new_person = new_person
        self._person = new_person()
        if operation_id in FOR_ADMINISTRATORS:
            sql.execute("UPDATE users SET role = 'admin' WHERE id = %s", [self._person.id])
            self._sign_in()
        if operation_id == "begin_passkey_registration":
            ceremonies.verify_address(self._person)
        self.statuses: Counter[int] = Counter()

    def call(self, case: Case[Any], *, sensibly: bool) -> None:
        """Make the call and hold the answer against the document."""
        if self._operation_id in ENDING_SESSIONS:
            self._person = self._new_person()
        if sensibly:
            self._about_what_is_there(case)
        # Each call from an address of its own: limits are for one caller, and this is a crowd.
        answer = case.call(headers=self._person.headers | {"X-Forwarded-For": any_address()})
        self.statuses[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    def _about_what_is_there(self, case: Case[Any]) -> None:
        """Put ids of real things and real credentials in the place of made-up ones."""
        things: dict[str, Callable[[], str]] = {
            "application_id": lambda: self._person.create_application()["id"],
            "import_id": lambda: walk.imported(self._person),
            "metric": lambda: "resume_uploads",
            "stage_id": self._find_stage,
            "passkey_id": lambda: ceremonies.new_passkey(self._someone_with_room())[1]["id"],
            "provider": lambda: walk.PROVIDER,
            "reservation_id": self._reserve,
            "session_id": self._sign_in_elsewhere,
            "tag_id": lambda: walk.THINGS["tag_id"](self._person),
            "view_id": lambda: walk.THINGS["view_id"](self._person),
            "user_id": self._grant,
            "token_id": self._make_token,
            "share_id": lambda: walk.THINGS["share_id"](self._someone_without_shares()),
            "token": lambda: walk.SECRETS[self._operation_id](self._someone_without_shares()),
        }
        within: dict[str, str] = {}
        for name in sorted(case.path_parameters):  # application_id is the first, and others are within it
            made = (
                things[name]
                if name in things
                else partial(walk.a_thing, self._operation_id, self._person, name, within)
            )
            case.path_parameters[name] = within[name] = made()
        if self._operation_id in walk.QUERIES:
            query = walk.QUERIES[self._operation_id](self._person)
            case.query.update(parse_qsl(query.removeprefix("?")))
        email = self._person.email if self._operation_id == "login" else f"{token_hex(8)}@example.com"
        if self._operation_id in walk.PREPARATIONS:
            walk.PREPARATIONS[self._operation_id](self._person)
        if self._operation_id == "create_share":
            self._person = self._new_person()  # there are only so many that one may have, of things of one's own
        if self._operation_id in (
            "finish_login",
            "reauthenticate",
            "enable_totp",
            "create_share",
            "capture_application",
            "link_contact",
            "import_applications",
        ):
            case.body = walk.BODIES[self._operation_id](self._person)
        credentials: dict[str, dict[str, Any]] = {
            "register": {"email": email, "password": PASSWORD},
            "login": {"email": email, "password": PASSWORD},
            "refresh": {"refresh_token": self._person.refresh_token},
        }
        if self._operation_id == "move_application" and isinstance(case.body, dict):
            made_up_target = ("stage_id", "occurred_at", "reason")
            case.body = {name: case.body[name] for name in case.body if name not in made_up_target}
            case.body["status"] = "interview"
        if self._operation_id == "begin_passkey_login":
            case.body = {}
        if self._operation_id in ("upload_file", "receive_content"):
            case.body = {"file": walk.CONTENT.decode()} if self._operation_id == "upload_file" else walk.CONTENT
        if self._operation_id in ("begin_upload", "link_file"):
            credentials[self._operation_id] = walk.BODIES[self._operation_id](self._person)
            if isinstance(case.body, dict):
                for name in ("application_id", "series_id"):  # of things that are not there
                    case.body.pop(name, None)
        if self._operation_id == "register_passkey":
            credentials[self._operation_id] = ceremonies.registration(self._someone_with_room())
        if self._operation_id == "login_with_passkey":
            credentials[self._operation_id] = ceremonies.assertion(self._someone_with_room())
        if self._operation_id in (*BY_MAIL_OR_PASSWORD, *ABOUT_SOMETHING):
            credentials[self._operation_id] = walk.BODIES[self._operation_id](self._person)
        if self._operation_id in credentials:
            made_up: dict[str, Any] = case.body if isinstance(case.body, dict) else {}
            case.body = made_up | credentials[self._operation_id]

    def _someone_with_room(self) -> Person:
        """The person, with fewer passkeys than an account may have."""
        passkeys = self._person.get("/api/auth/passkeys").json()["items"]
        if len(passkeys) > 20:
            self._person = self._new_person()
        return self._person

    def _someone_without_shares(self) -> Person:
        self._person = self._new_person()
        return self._person

    def _find_stage(self) -> str:
        return str(self._person.get("/api/stages").json()["items"][2]["id"])

    def _reserve(self) -> str:
        metric = "/api/quotas/job_searches/reserve"
        return str(self._person.post(metric, {"key": token_hex(8)}).json()["id"])

    def _make_token(self) -> str:
        return str(self._person.post("/api/tokens", {"name": "A script", "scopes": ["profile:read"]}).json()["id"])

    def _grant(self) -> str:
        """Somebody else, to whom something was granted."""
        other = self._new_person().id
        path = f"/api/admin/users/{other}/quotas/resume_uploads"
        assert self._person("PUT", path, {"units": 7, "reason": "a good cause"}).status_code == 200
        return other

    def _sign_in(self) -> None:
        self._person.bear(self._person.post("/api/auth/login", self._credentials).json())

    def _sign_in_elsewhere(self) -> str:
        self._person.post("/api/auth/login", self._credentials)
        devices = self._person.get("/api/auth/sessions").json()["items"]
        return str(next(device["id"] for device in devices if not device["current"]))

    @property
    def _credentials(self) -> dict[str, str]:
        return {"email": self._person.email, "password": PASSWORD}


@pytest.fixture
def operations(app_url: str, document: dict[str, Any]) -> dict[str, Operation]:
    """The operations of the document by their ids."""

    def described() -> Iterator[tuple[str, dict[str, Any]]]:
        for path, item in document["paths"].items():
            # An X-Request-Id that is not one is no reason to refuse a request: it is replaced.
            yield (
                path,
                {
                    method: operation
                    | {"parameters": [p for p in operation["parameters"] if p["name"] != "X-Request-Id"]}
                    for method, operation in item.items()
                },
            )

    schema = schemathesis.openapi.from_dict(document | {"paths": dict(described())})
    schema.config.update(base_url=app_url)
    schema.config.generation.update(with_security_parameters=False)
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    assert len(found) == sum(len(item) for item in document["paths"].values())
    return {operation.definition.raw["operationId"]: operation for operation in found}


def fuzz(operation: Operation, caller: Caller, mode: GenerationMode) -> None:
    @SETTINGS
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def call(case: Case[Any]) -> None:
        caller.call(case, sensibly=mode is GenerationMode.POSITIVE)

    call()


def test_what_is_allowed_is_answered_as_described(
    operations: dict[str, Operation],
    new_person: Callable[..., Person],
    sql: psycopg.Connection[Any],
    subtests: pytest.Subtests,
) -> None:
    for operation_id, operation in operations.items():
        caller = Caller(operation_id, new_person, sql)
        with subtests.test(operation_id):
            fuzz(operation, caller, GenerationMode.POSITIVE)
            assert any(status < 400 for status in caller.statuses), f"never let in: {caller.statuses}"


def test_what_is_forbidden_is_refused_as_described(
    operations: dict[str, Operation],
    new_person: Callable[..., Person],
    sql: psycopg.Connection[Any],
    subtests: pytest.Subtests,
) -> None:
    fallible = {operation_id: o for operation_id, o in operations.items() if can_be_got_wrong(o.definition.raw)}
    assert len(fallible) > 15
    for operation_id, operation in fallible.items():
        caller = Caller(operation_id, new_person, sql)
        with subtests.test(operation_id):
            fuzz(operation, caller, GenerationMode.NEGATIVE)
            assert any(status >= 400 for status in caller.statuses)


def can_be_got_wrong(operation: dict[str, Any]) -> bool:
    """Whether an operation takes anything besides texts that may be any text."""
    shapes = [parameter["schema"] for parameter in operation["parameters"]]
    return "requestBody" in operation or any(shape.keys() - {"type", "minLength"} for shape in shapes)
