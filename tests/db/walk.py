"""One call for every declared route, as somebody who may make it would: what the tests that walk the app send."""

import hashlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg

from shared.routes import Route
from shared.security.random_tokens import one_time_tokens
from tests.capture import site
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
    "capture_application": lambda _: {"url": site.site().says(site.page(site.POSTING))},
    "create_share": lambda _: {"name": "For my coach", "all": True},
    "create_interview": lambda _: {"kind": "video", "starts_at": "2030-01-07T09:00:00Z"},
    "update_interview": lambda _: {"outcome": "passed"},
    "create_task": lambda _: {"title": "Call them", "due_at": "2030-01-07T09:00:00Z"},
    "update_task": lambda _: {"done": True},
    "create_application_task": lambda _: {"title": "Call them"},
    "update_application_task": lambda _: {"done": True},
    "create_stage": lambda _: {"name": f"Panel {secrets.token_hex(4)}", "category": "in_process", "position": 4},
    "update_stage": lambda _: {"name": f"Talk {secrets.token_hex(4)}", "position": 2},
    "create_event": lambda _: {"kind": "call", "note": "They *called*."},
    "update_event": lambda _: {"note": "We called them."},
    "place_application": lambda _: {"status": "interview", "before": None},
    "begin_upload": lambda _: announcement(),
    "update_file": lambda _: {"kind": "other"},
    "link_file": lambda person: {"file_id": uploaded(person) if person.tokens else str(UUID(int=0))},
    "create_company": lambda _: {"name": f"Contoso {secrets.token_hex(8)}"},
    "update_company": lambda _: {"notes": "They make widgets."},
    "create_contact": lambda _: {"name": "Grace"},
    "update_contact": lambda _: {"notes": "Call her."},
    "link_contact": lambda _: {"name": "Grace", "role": "recruiter"},
    "update_contact_link": lambda _: {"role": "referral"},
    "create_note": lambda _: {"body": "They called."},
    "update_note": lambda _: {"body": "They called again."},
    "change_applications": lambda person: {"ids": [an_application(person)], "move": {"status": "applied"}},
    "merge_applications": lambda person: {"duplicate_id": an_application(person)},
    "create_tag": lambda _: {"name": secrets.token_hex(8), "color": "#00ff7f"},
    "update_tag": lambda _: {"name": secrets.token_hex(8)},
    "create_saved_view": lambda _: {"name": secrets.token_hex(8), "query": "status=applied&sort=company"},
    "update_saved_view": lambda _: {"query": "q=engineer&sort=relevance"},
    "import_applications": lambda _: {"content": f"Company,Position,Source\nContoso,Engineer,{secrets.token_hex(8)}"},
    "consume_quota": lambda _: {"units": 1},
    "reserve_quota": lambda _: {"units": 1, "key": secrets.token_hex(8)},
    "link_identity": lambda _: {},
    "change_user": lambda _: {"active": True},
    "end_sessions": lambda _: {"reason": "a stolen laptop"},
    "grant_quota": lambda _: {"units": 7, "reason": "a good cause"},
}

CONTENT = b"A resume.\n"

# What is sent that is no JSON.
OTHER_BODIES: dict[str, dict[str, Any]] = {
    "upload_file": {"files": {"file": ("cv.txt", CONTENT)}},
    "receive_content": {"content": CONTENT},
}

NEWCOMERS = {"resend_verification", "delete_account", "restore_account"}
"""Routes that succeed for those only who are no administrators, and whose address nobody has proved yet."""

# What has to be so before a route can succeed, where that is not a thing that its path names.
PREPARATIONS: dict[str, Callable[[Person], object]] = {
    "offer_totp": ceremonies.verify_address,
    "disable_totp": authenticator.enable,
    "replace_recovery_codes": authenticator.enable,
    "restore_account": lambda person: person.delete("/api/account"),
    "revoke_calendar_feed": lambda person: person.post("/api/calendar/feed"),
}

# A thing of a person's for each name in a path that stands for one; made anew, so that it is there and as it began.
THINGS: dict[str, Callable[[Person], str]] = {
    "application_id": lambda person: str(person.create_application()["id"]),
    "file_id": lambda person: uploaded(person),
    "company_id": lambda person: made(person, "/api/companies", "create_company")["id"],
    "contact_id": lambda person: made(person, "/api/contacts", "create_contact")["id"],
    "trash_id": lambda person: deleted(person),
    "import_id": lambda person: imported(person),
    "passkey_id": lambda person: str(ceremonies.new_passkey(person)[1]["id"]),
    "reservation_id": lambda person: made(person, f"/api/quotas/{METRIC}/reserve", "reserve_quota")["id"],
    "session_id": lambda person: other_session(person),
    "share_id": lambda person: made(person, "/api/shares", "create_share")["id"],
    "task_id": lambda person: made(person, "/api/tasks", "create_task")["id"],
    "stage_id": lambda person: made(person, "/api/stages", "create_stage")["id"],
    "tag_id": lambda person: made(person, "/api/tags", "create_tag")["id"],
    "token_id": lambda person: made(person, "/api/tokens", "create_token")["id"],
    "user_id": lambda person: granted(person),
    "view_id": lambda person: made(person, "/api/saved-views", "create_saved_view")["id"],
}

# What of a person's a path names that is no id: a secret, by which anybody may come.
SECRETS: dict[str, Callable[[Person], str]] = {
    "open_share": lambda person: made(person, "/api/shares", "create_share")["token"],
    "read_calendar": lambda person: feed_token(person),
}

# Things of which the name does not tell what they have to be.
PARTICULAR: dict[str, Callable[[Person], str]] = {
    "receive_content": lambda person: announced(person),
    "complete_upload": lambda person: announced(person, is_put=True),
}

# What has to have happened, and the query by which the call then goes on.
QUERIES: dict[str, Callable[[Person], str]] = {
    "finish_oauth": lambda person: person_at_a_provider(person, person.get(f"/api/auth/oauth/{PROVIDER}/start")),
    "unlink_identity": lambda person: link(person),
    "receive_content": lambda person: "?" + _addresses[person.id].partition("?")[2],
}

_addresses: dict[str, str] = {}
"""Where each person's last announced file is to be put."""


WITHIN = {
    "contact_id": ("contacts", "link_contact"),
    "event_id": ("events", "create_event"),
    "interview_id": ("interviews", "create_interview"),
    "note_id": ("notes", "create_note"),
    "task_id": ("tasks", "create_application_task"),
}
"""Where, and by which route, a thing is made that the path names within an application."""


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
        return person(self.method, self.path, self.body, **OTHER_BODIES.get(self.route.name, {}), **options)


def visit(route: Route, owner: Person, *, names: Callable[[str], str] | None = None) -> Visit:
    """The call of ``route`` that ``owner`` may make; ``names`` gives other ids than those of the owner's things."""
    if names is None and route.name in PREPARATIONS:
        PREPARATIONS[route.name](owner)
    path = route.path.replace("{metric}", METRIC).replace("{provider}", PROVIDER)
    if route.name in SECRETS:
        path = path.replace("{token}", SECRETS[route.name](owner))
    within: dict[str, str] = {}
    for name in things_named_by(route):
        within[name] = names(name) if names else a_thing(route.name, owner, name, within)
        path = path.replace(f"{{{name}}}", within[name])
    assert "{" not in path, f"{route.name}: walk.py has nothing to put into {path}"
    assert (route.endpoint.body is None) == (route.name not in BODIES), f"{route.name}: walk.py lacks a body for it"
    if not names and route.name in QUERIES:
        path += QUERIES[route.name](owner)
    return Visit(route, path, BODIES[route.name](owner) if route.name in BODIES else None)


def a_thing(route: str, owner: Person, name: str, within: dict[str, str]) -> str:
    """The id of a new thing of the owner's, within the application that the path has named before it, if it has."""
    if "application_id" in within and name in WITHIN:
        things, making = WITHIN[name]
        return str(made(owner, f"/api/applications/{within['application_id']}/{things}", making)["id"])
    return (PARTICULAR.get(route) or THINGS[name])(owner)


def deleted(person: Person) -> str:
    """The id of something of the person's in the trash."""
    company = THINGS["company_id"](person)
    assert person.delete(f"/api/companies/{company}").status_code == 204
    return company


def things_named_by(route: Route) -> list[str]:
    """The names in the route's path that stand for somebody's own things: ids, as against words such as a metric."""
    return [name for name, kind in route.endpoint.path.items() if kind is UUID]


def feed_token(person: Person) -> str:
    answer = person.post("/api/calendar/feed")
    assert answer.status_code == 201, answer.text
    return str(answer.json()["url"]).rpartition("/")[2].removesuffix(".ics")


def an_application(person: Person) -> str:
    """The id of one, or of none if the person is not signed in and has none."""
    return str(person.create_application()["id"] if person.tokens else uuid4())


def made(person: Person, path: str, route: str) -> Any:
    answer = person.post(path, BODIES[route](person))
    assert answer.status_code == 201, answer.text
    return answer.json()


def uploaded(person: Person) -> str:
    """The id of a file of the person's, sent with their newest application."""
    let_upload(person)
    newest = person.get("/api/applications?limit=1").json()["items"]
    answer = person.upload(CONTENT, data={"application_id": newest[0]["id"]} if newest else {})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def let_upload(person: Person) -> None:
    """Let somebody upload as much as they like: ten files in a lifetime are few for a walk."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as sql:
        sql.execute(
            """INSERT INTO quota_overrides VALUES (%s, 'resume_uploads', NULL, 'a walk')
               ON CONFLICT (user_id, metric) DO UPDATE SET units = NULL""",
            [person.id],
        )


def announcement() -> dict[str, Any]:
    return {"name": "cv.txt", "size": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}


def announced(person: Person, *, is_put: bool = False) -> str:
    """The id of a file that is waited for, and perhaps was put where it belongs."""
    let_upload(person)
    file = made(person, "/api/files/uploads", "begin_upload")
    _addresses[person.id] = file["upload"]["url"]
    if is_put:
        assert person("PUT", file["upload"]["url"], content=CONTENT).status_code == 204
    return str(file["id"])


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
        """WITH n AS (INSERT INTO notes (user_id, application_id, body)
                      VALUES (%(user_id)s, %(application_id)s, 'They called.') RETURNING id)
           INSERT INTO note_revisions (user_id, note_id, body) SELECT %(user_id)s, id, 'They' FROM n""",
        """WITH c AS (INSERT INTO contacts (user_id, name) VALUES (%(user_id)s, 'Grace') RETURNING id)
           INSERT INTO application_contacts (user_id, application_id, contact_id)
           SELECT %(user_id)s, %(application_id)s, id FROM c""",
        """INSERT INTO interviews (user_id, application_id, kind, starts_at, time_zone)
           VALUES (%(user_id)s, %(application_id)s, 'video', now(), 'UTC')""",
        "INSERT INTO tasks (user_id, title) VALUES (%(user_id)s, 'Call them')",
        "INSERT INTO reminders_sent (user_id, thing_id, due_at) VALUES (%(user_id)s, uuid7(), now())",
        """INSERT INTO calendar_feeds (user_id, digest)
           VALUES (%(user_id)s, sha256(uuid_send(uuid7()))) ON CONFLICT DO NOTHING""",
        """WITH f AS (INSERT INTO files (user_id, series_id, kind, name)
                      VALUES (%(user_id)s, uuid7(), 'resume', 'cv.pdf') RETURNING id)
           INSERT INTO application_files (user_id, application_id, file_id)
           SELECT %(user_id)s, %(application_id)s, id FROM f""",
        """WITH s AS (INSERT INTO shares (user_id, digest, name, covers_all, is_anonymous, expires_at)
                      VALUES (%(user_id)s, sha256(gen_random_uuid()::text::bytea), 'For my coach', false, false,
                              now() + interval '1 day') RETURNING id)
           INSERT INTO share_applications (user_id, share_id, application_id)
           SELECT %(user_id)s, id, %(application_id)s FROM s""",
        """WITH i AS (INSERT INTO imports (user_id, format, rows) VALUES (%(user_id)s, 'csv', 1) RETURNING id)
           INSERT INTO import_rows (user_id, import_id, row, row_key, application_id, version)
           SELECT %(user_id)s, id, 2, uuid7(), %(application_id)s, 1 FROM i""",
        """INSERT INTO trash (id, user_id, kind, title, content)
           VALUES (uuid7(), %(user_id)s, 'tasks', 'Call them', '[]')""",
        "INSERT INTO tags (user_id, name) VALUES (%(user_id)s, 'remote')",
        "INSERT INTO saved_views (user_id, name, query) VALUES (%(user_id)s, 'Open', 'status=applied')",
    ):
        sql.execute(statement, ids)
