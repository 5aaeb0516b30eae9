"""One call for every declared route, as somebody who may make it would: what the tests that walk the app send."""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from shared.routes import Route
from shared.security import one_time_tokens
from tests.conftest import PASSWORD, Person
from tests.factors import authenticator
from tests.identities.provider import Account, Provider
from tests.passkeys import ceremonies

METRIC = "job_searches"
PROVIDER = "google"
NEW_PASSWORD = "seven slow green glaciers"

BODIES: dict[str, Callable[[Person], dict[str, Any]]] = {
    "register": lambda _: {"email": f"{secrets.token_hex(8)}@example.com", "password": PASSWORD},
    "login": lambda person: {"email": person.email, "password": PASSWORD},
    "refresh": lambda person: {"refresh_token": person.refresh_token},
    "logout": lambda person: {"refresh_token": person.refresh_token},
    "logout_all": lambda _: {},
    "begin_passkey_login": lambda _: {},
    "login_with_passkey": ceremonies.assertion,
    "register_passkey": ceremonies.registration,
    "rename_passkey": lambda _: {"name": "Phone"},
    "finish_login": authenticator.second_step,
    "reauthenticate": lambda _: {"password": PASSWORD},
    "enable_totp": authenticator.confirmation,
    "create_token": lambda _: {"name": "A script", "scopes": ["applications:read"]},
    "verify_email": lambda person: {"token": sent(person, "verify_email")},
    "forgot_password": lambda person: {"email": person.email},
    "reset_password": lambda person: {"token": sent(person, "reset_password"), "password": NEW_PASSWORD},
    "change_password": lambda _: {"current_password": PASSWORD, "new_password": NEW_PASSWORD},
    "change_email": lambda _: {"email": f"{secrets.token_hex(8)}@example.com"},
    "update_profile": lambda _: {"company": "Initech"},
    "create_application": lambda _: {"company": "Contoso", "position": "Engineer"},
    "update_application": lambda _: {"notes": "They called."},
    "move_application": lambda _: {"status": "interview", "round": 2},
    "import_applications": lambda _: {"content": f"Company,Position,Source\nContoso,Engineer,{secrets.token_hex(8)}"},
    "consume_quota": lambda _: {"units": 1},
    "reserve_quota": lambda _: {"units": 1, "key": secrets.token_hex(8)},
    "link_identity": lambda _: {},
    "change_user": lambda _: {"active": True},
    "end_sessions": lambda _: {"reason": "a stolen laptop"},
    "grant_quota": lambda _: {"units": 7, "reason": "a good cause"},
}

NEWCOMERS = {"resend_verification", "delete_account", "restore_account"}
"""Routes that succeed for those only who are no administrators, and whose address nobody has proved yet."""

# What has to be so before a route can succeed, where that is not a thing that its path names.
PREPARATIONS: dict[str, Callable[[Person], object]] = {
    "offer_totp": ceremonies.verify_address,
    "disable_totp": authenticator.enable,
    "replace_recovery_codes": authenticator.enable,
    "restore_account": lambda person: person.delete("/api/account"),
}

# A thing of a person's for each name in a path that stands for one; made anew, so that it is there and as it began.
THINGS: dict[str, Callable[[Person], str]] = {
    "application_id": lambda person: str(person.create_application()["id"]),
    "import_id": lambda person: imported(person),
    "passkey_id": lambda person: str(ceremonies.new_passkey(person)[1]["id"]),
    "reservation_id": lambda person: made(person, f"/api/quotas/{METRIC}/reserve", "reserve_quota")["id"],
    "session_id": lambda person: other_session(person),
    "token_id": lambda person: made(person, "/api/tokens", "create_token")["id"],
    "user_id": lambda person: granted(person),
}

# What has to have happened, and the query by which the call then goes on.
QUERIES: dict[str, Callable[[Person], str]] = {
    "finish_oauth": lambda person: person_at_a_provider(person, person.get(f"/api/auth/oauth/{PROVIDER}/start")),
    "unlink_identity": lambda person: link(person),
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
    if names is None and route.name in PREPARATIONS:
        PREPARATIONS[route.name](owner)
    path = route.path.replace("{metric}", METRIC).replace("{provider}", PROVIDER)
    for name in things_named_by(route):
        path = path.replace(f"{{{name}}}", names(name) if names else THINGS[name](owner))
    assert "{" not in path, f"{route.name}: walk.py has nothing to put into {path}"
    assert (route.endpoint.body is None) == (route.name not in BODIES), f"{route.name}: walk.py lacks a body for it"
    if not names and route.name in QUERIES:
        path += QUERIES[route.name](owner)
    return Visit(route, path, BODIES[route.name](owner) if route.name in BODIES else None)


def things_named_by(route: Route) -> list[str]:
    """The names in the route's path that stand for somebody's own things: ids, as against words such as a metric."""
    return [name for name, kind in route.endpoint.path.items() if kind is UUID]


def made(person: Person, path: str, route: str) -> Any:
    answer = person.post(path, BODIES[route](person))
    assert answer.status_code == 201, answer.text
    return answer.json()


def imported(person: Person) -> str:
    """The id of an import."""
    answer = person.post("/api/applications/import", BODIES["import_applications"](person))
    assert answer.json()["created"] == 1, answer.text
    return str(answer.json()["import_id"])


def sent(person: Person, purpose: str) -> str:
    """A token as a mail to the person would bring it."""
    token = one_time_tokens.issue()
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as sql:
        sql.execute(
            "INSERT INTO one_time_tokens (digest, user_id, purpose, email) VALUES (%s, %s, %s, %s)",
            [one_time_tokens.digest(token), person.id, purpose, person.email],
        )
    return token


def granted(person: Person) -> str:
    """The id of the person, an administrator, after they granted themselves some of a quota."""
    path = f"/api/admin/users/{person.id}/quotas/{METRIC}"
    answer = person("PUT", path, BODIES["grant_quota"](person))
    assert answer.status_code == 200, answer.text
    return person.id


def other_session(person: Person) -> str:
    """The id of a session of the person's on another device."""
    answer = person.post("/api/auth/login", BODIES["login"](person) | {"device_name": "phone"})
    assert answer.status_code == 200, answer.text
    sessions = person.get("/api/auth/sessions").json()["items"]
    return str(next(session["id"] for session in sessions if session["device_name"] == "phone"))


def person_at_a_provider(person: Person, departure: Any) -> str:
    """Follow the browser to the provider and consent: gives the query that it comes back with, its cookie in hand."""
    location = departure.headers.get("location") or departure.json()["authorization_url"]
    person.headers["Cookie"] = departure.headers["set-cookie"].partition(";")[0]
    return "?" + Provider.at(location).authorize(location, Account()).partition("?")[2]


def link(person: Person) -> str:
    """Link the person to somebody at a provider."""
    query = person_at_a_provider(person, person.post(f"/api/auth/identities/{PROVIDER}/link", {}))
    answer = person.get(f"/api/auth/oauth/{PROVIDER}/callback{query}")
    assert answer.status_code == 200, answer.text
    return ""


def furnish(person: Person, sql: psycopg.Connection[Any]) -> None:
    """Give somebody at least one row in every table."""
    draft = {"company": "Contoso", "position": "Engineer"}
    assert person.post("/api/applications", draft, headers={"Idempotency-Key": "first"}).status_code == 201
    assert person.post(f"/api/quotas/{METRIC}/consume", {"key": "first"}).status_code == 200
    assert person.post("/api/tokens", {"name": "A script", "scopes": ["profile:read"]}).status_code == 201
    ceremonies.new_passkey(person)
    authenticator.begin(person)
    link(person)
    furnish_tracker(person, sql)
    # What nothing else leaves behind for long, or somebody else does.
    sql.execute(
        "INSERT INTO challenges (digest, kind, user_id, expires_at) VALUES (%s, 'sign_in', %s, now())",
        [secrets.token_bytes(32), person.id],
    )
    sql.execute(
        "INSERT INTO quota_overrides (user_id, metric, units, reason) VALUES (%s, 'resume_uploads', 7, 'a test')",
        [person.id],
    )
    sql.execute(  # not due, so that no delivery takes it
        """
        INSERT INTO mail_outbox (user_id, recipient, template, sealed, due_at)
        VALUES (%s, %s, 'password_changed', '', now() + interval '1 day')
        """,
        [person.id, person.email],
    )


def furnish_tracker(person: Person, sql: psycopg.Connection[Any]) -> None:
    """Give somebody a row in every table of the tracker."""
    ids = {"user_id": person.id, "application_id": person.get("/api/applications").json()["items"][0]["id"]}
    for statement in (
        """INSERT INTO event_revisions (user_id, event_id, was) SELECT user_id, id, '{}' FROM application_events
           WHERE application_id = %(application_id)s""",
        "INSERT INTO notes (user_id, application_id, body) VALUES (%(user_id)s, %(application_id)s, 'They called.')",
        """WITH c AS (INSERT INTO contacts (user_id, name) VALUES (%(user_id)s, 'Grace') RETURNING id)
           INSERT INTO application_contacts (user_id, application_id, contact_id)
           SELECT %(user_id)s, %(application_id)s, id FROM c""",
        """INSERT INTO interviews (user_id, application_id, kind, starts_at, time_zone)
           VALUES (%(user_id)s, %(application_id)s, 'video', now(), 'UTC')""",
        "INSERT INTO tasks (user_id, title) VALUES (%(user_id)s, 'Call them')",
        """WITH f AS (INSERT INTO files (user_id, series_id, kind, name)
                      VALUES (%(user_id)s, uuid7(), 'resume', 'cv.pdf') RETURNING id)
           INSERT INTO application_files (user_id, application_id, file_id)
           SELECT %(user_id)s, %(application_id)s, id FROM f""",
        """WITH i AS (INSERT INTO imports (user_id, format, rows) VALUES (%(user_id)s, 'csv', 1) RETURNING id)
           INSERT INTO import_rows (user_id, import_id, row, row_key, application_id, version)
           SELECT %(user_id)s, id, 2, uuid7(), %(application_id)s, 1 FROM i""",
        """INSERT INTO trash (id, user_id, kind, title, content)
           VALUES (uuid7(), %(user_id)s, 'tasks', 'Call them', '[]')""",
    ):
        sql.execute(statement, ids)
