"""Metrics: true, without anybody's name in them, in two languages, and cheap however often they are asked for."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared import metrics
from shared.admin import service
from tests.conftest import Person

Sql = psycopg.Connection[Any]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(autouse=True)
def unasked() -> Iterator[None]:
    """A process that nobody has asked for metrics yet."""
    service._last = None
    yield
    service._last = None


def measured(admin: Person) -> dict[str, Any]:
    answer = admin.get("/api/admin/metrics")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def scraped(admin: Person) -> Samples:
    answer = admin.get("/api/admin/metrics", headers={"Accept": "text/plain"})
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    found = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(found) == len(samples), "each series once, or Prometheus takes none"
    return found


# ---------------------------------------------------------------- what they say


def test_requests_and_refusals_are_counted_by_route_status_and_code(admin: Person) -> None:
    def counts() -> tuple[int, int, int]:
        found = measured(admin)
        (route,) = [r for r in found["routes"] if r["route"] == "get_application"] or [{"statuses": {}, "within": {}}]
        service._last = None
        return route["statuses"].get("404", 0), found["refusals"].get("not_found", 0), route["within"].get("+Inf", 0)

    before = counts()
    for _ in range(3):
        admin.get("/api/applications/00000000-0000-0000-0000-000000000000")
    assert [after - was for after, was in zip(counts(), before, strict=True)] == [3, 3, 3]


def test_a_requests_duration_is_in_every_bucket_that_is_wide_enough() -> None:
    served = metrics.Served()
    for seconds in (0.001, 0.005, 0.0051, 3.0, 11.0):
        metrics.routes["tested"] = served
        metrics.served("tested", 200, seconds)
    shown = service._route("tested", metrics.routes.pop("tested"))
    assert shown.within["0.005"] == 2
    assert shown.within["0.01"] == 3
    assert shown.within["10.0"] == 4
    assert shown.within["+Inf"] == 5
    assert shown.seconds == pytest.approx(14.0111)


def test_the_pool_is_told_as_it_is(start_app: Callable[..., str], new_person: Callable[..., Person], sql: Sql) -> None:
    admin = new_person(start_app(DATABASE_POOL_SIZE="3"))
    sql.execute("UPDATE users SET role = 'admin' WHERE id = %s", [admin.id])
    admin.bear(admin.post("/api/auth/refresh", {"refresh_token": admin.refresh_token}).json())
    assert measured(admin)["pool"] == {"size": 3, "open": 1, "idle": 1, "waiting": 0}


def test_failed_sign_ins_are_counted_by_reason_and_hour(
    admin: Person, new_person: Callable[..., Person], sql: Sql
) -> None:
    def failed() -> dict[str, tuple[int, int]]:
        service._last = None
        return {f["reason"]: (f["last_hour"], f["last_day"]) for f in measured(admin)["database"]["failed_sign_ins"]}

    person = new_person()
    before = failed()
    for _ in range(2):
        person.post("/api/auth/login", {"email": person.email, "password": "wrong"})
    sql.execute("UPDATE users SET disabled_at = now() WHERE id = %s", [person.id])
    person.post("/api/auth/login", {"email": person.email, "password": person.password})
    after = failed()
    for reason, more in (("credentials", 2), ("disabled", 1)):
        was = before.get(reason, (0, 0))
        assert after[reason] == (was[0] + more, was[1] + more)


def test_sessions_are_counted_by_state_and_age(admin: Person, new_person: Callable[..., Person], sql: Sql) -> None:
    def sessions() -> dict[tuple[str, str], int]:
        service._last = None
        return {(s["state"], s["age"]): s["count"] for s in measured(admin)["database"]["sessions"]}

    ended, expired, old = new_person(), new_person(), new_person()
    before = sessions()
    ended.post("/api/auth/logout-all")
    sql.execute("UPDATE sessions SET idle_expires_at = now() WHERE user_id = %s", [expired.id])
    sql.execute("UPDATE sessions SET created_at = now() - interval '8 days' WHERE user_id = %s", [old.id])
    after = sessions()
    changed = {key: after.get(key, 0) - before.get(key, 0) for key in after.keys() | before.keys()}
    assert {key: change for key, change in changed.items() if change} == {
        ("active", "day"): -3,
        ("revoked", "day"): 1,
        ("expired", "day"): 1,
        ("active", "month"): 1,
    }


def test_quotas_mail_and_storage_are_told(admin: Person, person: Person, sql: Sql) -> None:
    def quota() -> Any:
        service._last = None
        return next(q for q in measured(admin)["database"]["quotas"] if q["metric"] == "exports")

    before = quota()
    person.post("/api/quotas/exports/consume", {"units": 3})
    admin("PUT", f"/api/admin/users/{person.id}/quotas/exports", {"units": 9, "reason": "a good cause"})
    after = quota()
    assert [after[name] - before[name] for name in ("users", "used", "overrides")] == [1, 3, 1]
    with psycopg.connect(sql.info.dsn, autocommit=True, password=sql.info.password) as other:
        other.execute(
            "INSERT INTO mail_outbox (user_id, recipient, template, sealed, due_at, created_at)"
            " VALUES (%s, 'x@example.com', 'tested', '', 'infinity', now() - interval '1 hour')",
            [person.id],
        )
    service._last = None
    database = measured(admin)["database"]
    other_than_queued = {m["state"]: m["count"] for m in database["mail"]}
    assert other_than_queued["queued"] >= 1
    assert database["oldest_queued_mail_seconds"] >= 3600
    assert {t["table"] for t in database["tables"]} >= {"users", "sessions", "audit_events", "mail_outbox"}
    assert database["bytes"] > sum(t["bytes"] for t in database["tables"]) > 0
    sql.execute("DELETE FROM mail_outbox WHERE user_id = %s", [person.id])


def test_without_the_extension_there_are_no_slow_statements_and_it_is_said_why(admin: Person) -> None:
    database = measured(admin)["database"]
    assert database["slowest_statements"] is None
    assert "pg_stat_statements" in database["slowest_statements_missing"]


PRETENDED = """
CREATE FUNCTION pg_temp.pretend() RETURNS TABLE (
    queryid bigint, dbid oid, query text, calls bigint, rows bigint, total_exec_time float8, max_exec_time float8)
LANGUAGE sql AS $$
    SELECT q.id, d.oid, q.query, 4, 8, q.ms, q.ms
    FROM pg_database d, (VALUES
        (1, E'SELECT\n   $1', 2000.0::float8), (1, 'select $1', 500), (2, 'WITH x AS (SELECT 1)', 9),
        (3, 'ALTER ROLE x PASSWORD ''secret''', 9999)) AS q (id, query, ms)
    WHERE d.datname = current_database()
$$;
CREATE TEMP VIEW pg_stat_statements AS SELECT * FROM pg_temp.pretend();
"""


def test_the_slowest_statements_come_without_what_may_hold_a_secret(sql: Sql) -> None:
    with sql.transaction(force_rollback=True):
        sql.execute(PRETENDED)
        row = sql.execute("SELECT statements, missing FROM slowest_statements(10)").fetchone()
    assert row is not None
    first, second = row[0]
    assert (first["id"], first["statement"], first["calls"], first["total_seconds"]) == ("1", "SELECT $1", 8, 2.5)
    assert (first["mean_seconds"], first["longest_seconds"]) == (0.3125, 2.0)
    assert second["statement"] == "WITH x AS (SELECT 1)"
    assert row[1] is None


def test_an_extension_that_does_not_answer_is_no_failure(sql: Sql) -> None:
    with sql.transaction(force_rollback=True):
        sql.execute("CREATE TEMP VIEW pg_stat_statements AS SELECT 1 AS something")
        row = sql.execute("SELECT statements, missing FROM slowest_statements(10)").fetchone()
    assert row is not None
    assert row[0] is None
    assert "does not answer" in row[1]


def test_personal_access_tokens_are_counted_by_state_and_age(admin: Person, person: Person, sql: Sql) -> None:
    def tokens() -> dict[tuple[str, str], int]:
        service._last = None
        return {(t["state"], t["age"]): t["count"] for t in measured(admin)["database"]["tokens"]}

    before = tokens()
    for name in ("one", "two"):
        assert person.post("/api/tokens", {"name": name, "scopes": ["profile:read"]}).status_code == 201
    sql.execute(
        "UPDATE personal_access_tokens SET created_at = now() - interval '40 days', expires_at = now()"
        " WHERE user_id = %s AND name = 'two'",
        [person.id],
    )
    after = tokens()
    changed = {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}
    assert changed == {("active", "day"): 1, ("expired", "older"): 1}


def test_nobodys_name_or_address_is_in_them(admin: Person, new_person: Callable[..., Person]) -> None:
    person = new_person(first_name="Adelheid", company="Wunderwerk")
    person.post("/api/auth/login", {"email": person.email, "password": "wrong"})
    text = admin.get("/api/admin/metrics?format=prometheus").text + admin.get("/api/admin/metrics").text
    for secret in (person.email, person.id, "Adelheid", "Wunderwerk", person.headers["X-Forwarded-For"]):
        assert secret not in text


# ---------------------------------------------------------------- in which language


@pytest.mark.parametrize(
    ("query", "accept", "expected"),
    [
        ("", None, "json"),
        ("", "*/*", "json"),
        ("", "application/json, text/plain", "json"),
        ("", "text/plain", "text"),
        ("", "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "text"),
        ("?format=prometheus", "application/json", "text"),
        ("?format=json", "text/plain", "json"),
    ],
)
def test_who_asks_chooses_the_language(query: str, accept: str | None, expected: str, admin: Person) -> None:
    answer = admin.get(f"/api/admin/metrics{query}", headers={"Accept": accept} if accept else {})
    assert (answer.status_code, expected in answer.headers["content-type"]) == (200, True)


def test_another_language_is_refused(admin: Person) -> None:
    assert admin.get("/api/admin/metrics?format=xml").status_code == 422


def test_prometheus_reads_the_same_numbers(admin: Person) -> None:
    samples = scraped(admin)
    found = measured(admin)
    process = ("process", found["process"]["id"])
    (login,) = [r for r in found["routes"] if r["route"] == "refresh"]
    where = frozenset({process, ("route", "refresh")})
    assert samples["jobtrail_request_seconds_count", where] == login["within"]["+Inf"]
    assert samples["jobtrail_request_seconds_sum", where] == login["seconds"]
    assert samples["jobtrail_request_seconds_bucket", where | {("le", "+Inf")}] == login["within"]["+Inf"]
    assert samples["jobtrail_requests_total", where | {("status", "200")}] == login["statuses"]["200"]
    assert samples["jobtrail_pool_size", frozenset({process})] == found["pool"]["size"]
    for session in found["database"]["sessions"]:
        labels = frozenset({("state", session["state"]), ("age", session["age"])})
        assert samples["jobtrail_sessions", labels] == session["count"]
    for table in found["database"]["tables"]:
        assert samples["jobtrail_table_bytes", frozenset({("table", table["table"])})] == table["bytes"]


def test_a_label_may_hold_anything() -> None:
    from shared.admin import exposition

    text = exposition._family("tested", "gauge", "A test.", [({"label": 'a "b" \\ c\nd'}, 1)])
    ((sample,),) = [family.samples for family in text_string_to_metric_families(text)]
    assert sample.labels == {"label": 'a "b" \\ c\nd'}


# ---------------------------------------------------------------- what they cost


def test_the_database_is_not_asked_again_within_ten_seconds(
    admin: Person, new_person: Callable[..., Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = measured(admin)["database"]
    new_person()
    assert measured(admin)["database"] == first
    monkeypatch.setattr(service, "monotonic", lambda: time.monotonic() + service.KEPT)
    assert measured(admin)["database"]["measured_at"] > first["measured_at"]


def test_what_was_measured_for_one_is_not_told_to_who_may_not_know(admin: Person, sql: Sql) -> None:
    measured(admin)
    sql.execute("UPDATE users SET role = 'user' WHERE id = %s", [admin.id])
    assert admin.get("/api/admin/metrics").status_code == 403


def test_of_a_big_table_a_sample_is_read_and_its_count_is_about_right(sql: Sql) -> None:
    with sql.transaction(force_rollback=True):
        sql.execute("CREATE TABLE big AS SELECT n, repeat('x', 100) AS filler FROM generate_series(1, 50000) n")
        sql.execute("ANALYZE big")
        row = sql.execute(
            """
            SELECT sample_of('big', 5000), count(*), count(*) * 100 / sample_of('big', 5000)
            FROM big TABLESAMPLE SYSTEM (sample_of('big', 5000))
            """
        ).fetchone()
        whole = sql.execute("SELECT sample_of('big', 100000)").fetchone()
    assert row is not None
    assert row[0] == pytest.approx(10, rel=0.01)
    assert 2500 < row[1] < 7500
    assert 25_000 < row[2] < 75_000
    assert whole == (100,)
