"""One call for every declared route, as somebody who may make it would: what the tests that walk the app send."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shared.routes import Route
from tests.conftest import PASSWORD, Person

METRIC = "job_searches"

BODIES: dict[str, Callable[[Person], dict[str, Any]]] = {
    "register": lambda _: {"email": f"{secrets.token_hex(8)}@example.com", "password": PASSWORD},
    "login": lambda person: {"email": person.email, "password": PASSWORD},
    "refresh": lambda person: {"refresh_token": person.refresh_token},
    "logout": lambda person: {"refresh_token": person.refresh_token},
    "logout_all": lambda _: {},
    "update_profile": lambda _: {"company": "Initech"},
    "create_application": lambda _: {"company": "Contoso", "position": "Engineer"},
    "update_application": lambda _: {"notes": "They called."},
    "consume_quota": lambda _: {"units": 1},
    "reserve_quota": lambda _: {"units": 1, "key": secrets.token_hex(8)},
}

# What must have happened before a call of the route is one that succeeds.
BEFORE: dict[str, Callable[[Person], object]] = {
    "restore_account": lambda person: person.delete("/api/account"),
}

# A thing of a person's for each name in a path that stands for one; made anew, so that it is there and as it began.
THINGS: dict[str, Callable[[Person], str]] = {
    "application_id": lambda person: str(person.create_application()["id"]),
    "reservation_id": lambda person: made(person, f"/api/quotas/{METRIC}/reserve", "reserve_quota")["id"],
    "session_id": lambda person: other_session(person),
}


@dataclass(frozen=True)
class Visit:
    """A call of one route: what to send, and what to be answered when it succeeds."""

    route: Route
    path: str
    body: dict[str, Any] | None

    @property
    def method(self) -> str:
        return self.route.methods[0]

    def by(self, person: Person, **options: Any) -> Any:
        return person(self.method, self.path, self.body, **options)


def visit(route: Route, owner: Person, *, names: Callable[[str], str] | None = None) -> Visit:
    """The call of ``route`` that ``owner`` may make; ``names`` gives other ids than those of the owner's things."""
    path = route.path.replace("{metric}", METRIC)
    for name in things_named_by(route):
        path = path.replace(f"{{{name}}}", names(name) if names else THINGS[name](owner))
    assert "{" not in path, f"{route.name}: walk.py has nothing to put into {path}"
    assert (route.endpoint.body is None) == (route.name not in BODIES), f"{route.name}: walk.py lacks a body for it"
    if names is None and route.name in BEFORE:
        BEFORE[route.name](owner)
    return Visit(route, path, BODIES[route.name](owner) if route.name in BODIES else None)


def things_named_by(route: Route) -> list[str]:
    """The names in the route's path that stand for somebody's own things: ids, as against words such as a metric."""
    return [name for name, kind in route.endpoint.path.items() if kind is UUID]


def made(person: Person, path: str, route: str) -> Any:
    answer = person.post(path, BODIES[route](person))
    assert answer.status_code == 201, answer.text
    return answer.json()


def other_session(person: Person) -> str:
    """The id of a session of the person's on another device."""
    answer = person.post("/api/auth/login", BODIES["login"](person) | {"device_name": "phone"})
    assert answer.status_code == 200, answer.text
    sessions = person.get("/api/auth/sessions").json()["items"]
    return str(next(session["id"] for session in sessions if session["device_name"] == "phone"))
