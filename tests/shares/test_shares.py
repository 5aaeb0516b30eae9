"""Shares: what their readers see, what they never see, and how a share ends."""

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.security import personal_access_tokens
from shared.security.random_tokens import share_tokens
from shared.shares import pages
from tests.conftest import APP_URL, Client, Person

Sql = psycopg.Connection[Any]
View = dict[str, Any]

SHOWN = {
    "number", "company", "position", "location", "workplace", "stage", "category", "status", "stage_since",
    "applied_on", "furthest_category", "timeline",
}  # fmt: skip


def share(person: Person, **fields: Any) -> dict[str, Any]:
    """A new share of the person's, of everything unless said otherwise."""
    request = {"name": "For my coach", **({} if "application_ids" in fields else {"all": True}), **fields}
    answer = person.post("/api/shares", request)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def read(client: Client, made: dict[str, Any]) -> View:
    answer = client.get(f"/api/shared/{made['token']}")
    assert answer.status_code == 200, answer.text
    view: View = answer.json()
    return view


def events(sql: Sql, person: Person) -> list[tuple[str, dict[str, Any]]]:
    return sql.execute(
        "SELECT event, facts FROM audit_events WHERE user_id = %s AND event LIKE 'share%%' ORDER BY place", [person.id]
    ).fetchall()


# ---------------------------------------------------------------- what is seen


def test_anybody_with_the_link_sees_how_applications_stand(person: Person, client: Client) -> None:
    first = person.create_application(
        company="Initech", position="Cook", location="Berlin", workplace="hybrid", status="applied"
    )
    person.post(f"/api/applications/{first['id']}/move", {"status": "interview", "round": 1})
    person.create_application()
    view = read(client, share(person))
    assert view["name"] == "For my coach"
    assert view["counts"] == {
        "total": 2, "saved": 1, "applied": 0, "in_process": 1, "offer": 0, "accepted": 0, "closed": 0
    }  # fmt: skip
    contoso, initech = view["applications"]
    assert (contoso["company"], contoso["number"], initech["number"]) == ("Contoso", 1, 2)
    today = first["applied_on"]
    assert initech == {
        "number": 2,
        "company": "Initech",
        "position": "Cook",
        "location": "Berlin",
        "workplace": "hybrid",
        "stage": "Interview",
        "category": "in_process",
        "status": "interview",
        "stage_since": today,
        "applied_on": today,
        "furthest_category": "in_process",
        "timeline": [
            {"stage": "Applied", "category": "applied", "on": today},
            {"stage": "Interview", "category": "in_process", "on": today},
        ],
    }


def test_days_are_those_of_the_owners_time_zone(person: Person, client: Client) -> None:
    person.patch("/api/profile", {"time_zone": "Pacific/Auckland"})
    made = person.create_application()
    person.post(
        f"/api/applications/{made['id']}/move", {"status": "applied", "occurred_at": "2026-01-05T22:00:00+00:00"}
    )
    (shown,) = read(client, share(person))["applications"]
    assert shown["timeline"][0]["on"] == "2026-01-06"


def test_it_shows_what_is_now_and_not_what_was(person: Person, client: Client) -> None:
    made = person.create_application()
    link = share(person)
    person.patch(f"/api/applications/{made['id']}", {"company": "Initech"})
    person.create_application(company="Hooli")
    assert [shown["company"] for shown in read(client, link)["applications"]] == ["Hooli", "Initech"]


def test_one_of_named_applications_shows_no_others(person: Person, client: Client) -> None:
    named = [person.create_application(company=name)["id"] for name in ("Contoso", "Initech")]
    person.create_application(company="Hooli")
    view = read(client, share(person, application_ids=named))
    assert {shown["company"] for shown in view["applications"]} == {"Contoso", "Initech"}
    assert view["counts"]["total"] == 2
    (listed,) = person.get("/api/shares").json()["items"]
    assert (listed["all"], listed["applications"]) == (False, 2)


def test_in_the_trash_it_is_not_shown_and_restored_it_is(person: Person, client: Client, sql: Sql) -> None:
    made = person.create_application()
    link = share(person, application_ids=[made["id"]])
    assert person.delete(f"/api/applications/{made['id']}").status_code == 204
    assert read(client, link)["applications"] == []
    with sql.transaction():
        sql.execute("SELECT set_config('app.user_id', %s, true), set_config('role', 'tenant', true)", [person.id])
        sql.execute("SELECT recover(%s)", [made["id"]])
    assert len(read(client, link)["applications"]) == 1


def test_anonymous_companies_have_numbers_and_one_company_has_one(person: Person, client: Client) -> None:
    for company in ("Contoso", "Initech", "CONTOSO"):
        person.create_application(company=company)
    link = share(person, anonymous=True)
    assert [shown["company"] for shown in read(client, link)["applications"]] == ["Company 1", "Company 2", "Company 1"]
    assert "ontoso" not in client.get(f"/api/shared/{link['token']}", headers={"Accept": "text/html"}).text


# ---------------------------------------------------------------- what is never seen


def test_nothing_that_is_nobodys_business_is_in_it(person: Person, client: Client, sql: Sql) -> None:
    """Every text that an application and all that hangs on it can hold is a marker; those shown are known."""
    made = person.create_application(
        company="seen-company", position="seen-position", location="seen-location", url="https://secret-url.example/",
        source="secret-source", tags=["secret-tag"], notes="secret-notes", salary_min=7654321, salary_max=8765432,
        salary_currency="CHF", deadline="2031-03-07",
    )  # fmt: skip
    person.post(
        f"/api/applications/{made['id']}/move",
        {"status": "rejected", "reason": "secret-reason", "note": "secret-event-note", "round_name": "secret-round"},
    )
    ids = {"user": person.id, "application": made["id"]}
    for statement in (
        "INSERT INTO notes (user_id, application_id, body) VALUES (%(user)s, %(application)s, 'secret-note')",
        """WITH c AS (INSERT INTO contacts (user_id, name, email, phone, notes) VALUES
           (%(user)s, 'secret-contact', 'secret@contact.example', 'secret-phone', 'secret-contact-notes') RETURNING id)
           INSERT INTO application_contacts (user_id, application_id, contact_id, role)
           SELECT %(user)s, %(application)s, id, 'secret-role' FROM c""",
        """INSERT INTO interviews (user_id, application_id, kind, starts_at, time_zone, title, location, notes)
           VALUES (%(user)s, %(application)s, 'video', '2032-01-01', 'UTC', 'secret-t', 'secret-place', 'secret-i')""",
        "INSERT INTO tasks (user_id, application_id, title) VALUES (%(user)s, %(application)s, 'secret-task')",
        """INSERT INTO application_events (user_id, application_id, kind, note)
           VALUES (%(user)s, %(application)s, 'note', 'secret-event')""",
    ):
        sql.execute(statement, ids)
    link = share(person)
    as_json = client.get(f"/api/shared/{link['token']}")
    as_html = client.get(f"/api/shared/{link['token']}", headers={"Accept": "text/html,*/*;q=0.8"})
    (shown,) = as_json.json()["applications"]
    assert set(shown) == SHOWN
    assert set(as_json.json()) == {"name", "expires_at", "counts", "applications"}
    hidden = [person.email, person.id, made["id"], link["id"], "7654321", "8765432", "CHF", "2031-03-07", "2032-01-01"]
    for text in (as_json.text, as_html.text):
        assert "seen-company" in text
        assert "seen-position" in text
        assert "seen-location" in text
        assert "secret" not in text
        assert [one for one in hidden if one in text] == []
        assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", text), "an id"


def test_one_persons_share_shows_nobody_elses(new_person: Callable[[], Person], client: Client) -> None:
    ada, bob = new_person(), new_person()
    ada.create_application(company="Hers")
    bob.create_application(company="His")
    assert [shown["company"] for shown in read(client, share(ada))["applications"]] == ["Hers"]
    refused = bob.post("/api/shares", {"name": "x", "application_ids": [ada.create_application()["id"]]})
    nobodys = bob.post("/api/shares", {"name": "x", "application_ids": [str(uuid4())]})
    assert refused.status_code == nobodys.status_code == 422
    assert refused.json()["errors"] == nobodys.json()["errors"]
    assert refused.json()["errors"][0]["field"] == "application_ids"
    assert bob.get("/api/shares").json()["items"] == []


def test_the_database_keeps_no_secret(person: Person, sql: Sql) -> None:
    link = share(person)
    (row,) = sql.execute("SELECT shares::text, digest FROM shares WHERE user_id = %s", [person.id]).fetchall()
    assert link["token"] not in row[0]
    assert row[1] == share_tokens.digest(link["token"])
    assert link["url"].endswith(f"/api/shared/{link['token']}")
    listed = person.get("/api/shares")
    assert link["token"] not in listed.text
    copy = sql.execute("SELECT facts::text FROM audit_events WHERE user_id = %s", [person.id]).fetchall()
    assert not any(link["token"] in facts for (facts,) in copy)


# ---------------------------------------------------------------- how it ends


def test_wrong_revoked_expired_and_malformed_are_the_same_nothing(person: Person, client: Client, sql: Sql) -> None:
    revoked, expired, good = share(person), share(person), share(person)
    assert person.delete(f"/api/shares/{revoked['id']}").status_code == 204
    sql.execute("UPDATE shares SET expires_at = now() WHERE id = %s", [expired["id"]])
    answers = [
        client.get(f"/api/shared/{token}")
        for token in (revoked["token"], expired["token"], share_tokens.issue(), "jts_", "x", good["token"] + "A")
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({json.dumps({**answer.json(), "request_id": ""}) for answer in answers}) == 1
    assert [listed["id"] for listed in person.get("/api/shares").json()["items"]] == [good["id"]]
    assert person.delete(f"/api/shares/{expired['id']}").status_code == 404
    assert person.delete(f"/api/shares/{revoked['id']}").status_code == 404


def test_revoked_nothing_of_its_address_is_left(person: Person, sql: Sql) -> None:
    link = share(person, application_ids=[person.create_application()["id"]])
    person.delete(f"/api/shares/{link['id']}")
    for table in ("shares", "share_applications"):
        assert sql.execute(f"SELECT count(*) FROM {table} WHERE user_id = %s", [person.id]).fetchone() == (0,)


@pytest.mark.parametrize("column", ["disabled_at", "deletion_due_at"])
def test_nothing_is_shown_of_who_is_disabled_or_leaving(person: Person, client: Client, sql: Sql, column: str) -> None:
    link = share(person)
    sql.execute(f"UPDATE users SET {column} = now() + interval '1 day' WHERE id = %s", [person.id])
    assert client.get(f"/api/shared/{link['token']}").status_code == 404
    sql.execute(f"UPDATE users SET {column} = NULL WHERE id = %s", [person.id])
    assert client.get(f"/api/shared/{link['token']}").status_code == 200


def test_there_are_fifty_at_most_however_many_are_asked_for_at_once(person: Person, sql: Sql) -> None:
    sql.execute(
        """
        INSERT INTO shares (user_id, digest, name, covers_all, is_anonymous, expires_at)
        SELECT %s, sha256(gen_random_uuid()::text::bytea), 'x', true, false, now() + interval '1 day'
        FROM generate_series(1, 48)
        """,
        [person.id],
    )
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: person.post("/api/shares", {"name": "x", "all": True}), range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409, 409, 409]
    refused = next(answer.json() for answer in answers if answer.status_code == 409)
    assert (refused["code"], refused["limit"]) == ("too_many_shares", 50)


def test_making_and_revoking_are_in_the_audit_log(person: Person, sql: Sql) -> None:
    link = share(person)
    person.delete(f"/api/shares/{link['id']}")
    (made, facts), (ended, _) = events(sql, person)
    assert (made, ended) == ("share_created", "share_revoked")
    assert (facts["share_id"], facts["all"]) == (link["id"], True)


def test_that_it_was_opened_is_known_to_the_hour_and_written_once(person: Person, client: Client, sql: Sql) -> None:
    link = share(person)
    assert person.get("/api/shares").json()["items"][0]["last_opened_at"] is None
    version = "SELECT xmin::text, last_opened_at = date_trunc('hour', last_opened_at) FROM shares WHERE id = %s"
    seen = []
    for _ in range(3):
        read(client, link)
        seen.append(sql.execute(version, [link["id"]]).fetchone())
    assert seen[0] == seen[1] == seen[2]
    assert seen[0] is not None
    assert seen[0][1] is True
    assert person.get("/api/shares").json()["items"][0]["last_opened_at"]


def test_a_personal_access_token_publishes_nothing(person: Person, app_url: str, sql: Sql) -> None:
    token = person.post("/api/tokens", {"name": "A script", "scopes": ["applications:write"]}).json()["token"]
    script = Client(app_url, {"Authorization": f"Bearer {token}"})
    assert script.post("/api/shares", {"name": "x", "all": True}).json()["code"] == "session_required"
    with sql.transaction(force_rollback=True):
        sql.execute("SELECT enter_with_token(%s, 'applications:write', NULL)", [personal_access_tokens.digest(token)])
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            sql.execute("SELECT create_share(sha256('x'), 'x', NULL, false, 1, 50)")
    script.close()


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x"},
        {"name": "x", "all": False},
        {"name": "x", "all": True, "application_ids": [str(uuid4())]},
        {"name": "x", "application_ids": []},
        {"name": "x", "application_ids": ["00000000-0000-7000-8000-000000000000"] * 2},
        {"name": "x", "all": True, "expires_in_days": 367},
        {"name": "", "all": True},
    ],
)
def test_what_it_covers_is_said_once_and_clearly(person: Person, body: dict[str, Any]) -> None:
    assert person.post("/api/shares", body).status_code == 422


def test_its_address_is_below_the_apps(person: Person) -> None:
    assert share(person)["url"].startswith(("https://", APP_URL))


# ---------------------------------------------------------------- the page


def test_a_browser_gets_a_page_and_a_program_json(person: Person, client: Client) -> None:
    person.create_application()
    path = f"/api/shared/{share(person)['token']}"
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    page = client.get(path, headers={"Accept": browser})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for accept in ("*/*", "application/json", "application/json, text/html"):
        assert client.get(path, headers={"Accept": accept}).headers["content-type"].startswith("application/json")
    for answer in (page, client.get(path)):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-robots-tag"] == "noindex"
        assert answer.headers["referrer-policy"] == "no-referrer"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r"<script|\ssrc=|\shref=|\sstyle=|\son\w+=", page.text)


MARKUP = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "$name ${style}", "&lt;b&gt;", "]]>", "\u202e"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.sampled_from(MARKUP)
OURS = "html head meta title style body main h1 p table caption thead tbody tr th td small span ol li time footer"


def steps(text: str) -> list[dict[str, str]]:
    return [{"stage": text, "category": "applied", "on": "2026-11-20"}]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS, TEXTS), min_size=1, max_size=3), TEXTS)
def test_whatever_is_written_the_page_is_well_formed_and_has_no_markup_of_theirs(
    texts: list[tuple[str, str, str, str]], name: str
) -> None:
    applications = [
        {
            "company": company, "position": position, "location": location, "workplace": "remote", "stage": stage,
            "category": "applied", "stage_since": "2026-11-20", "applied_on": None, "timeline": steps(stage),
        }
        for company, position, location, stage in texts
    ]  # fmt: skip
    counts = dict.fromkeys(pages.WORDS, 0) | {"total": len(texts), "applied": len(texts)}
    view = {"name": name, "expires_at": "2026-12-20T00:00:00+00:00", "counts": counts, "applications": applications}
    html = pages.page_of(view).html
    tree = ElementTree.fromstring(html.removeprefix("<!DOCTYPE html>\n"))
    assert {element.tag for element in tree.iter()} <= set(OURS.split())
    assert sum(element.tag == "td" for element in tree.iter()) == 4 * len(texts)
    shown = "".join(tree.find("body/main/h1").itertext())  # type: ignore[union-attr]
    assert shown == re.sub("\r\n?", "\n", pages.STRANGE.sub("\ufffd", name))
