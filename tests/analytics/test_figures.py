"""What the figures count, by applications whose history is known."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest

from tests.analytics.conftest import Tell, add_stage, ago, figures, since
from tests.conftest import Person

Sql = psycopg.Connection[Any]
FIGURES = ("summary", "activity", "funnel", "sources", "time-in-stage", "quiet", "sankey")


def by(items: list[dict[str, Any]], name: str) -> dict[Any, dict[str, Any]]:
    return {item[name]: item for item in items}


# ---------------------------------------------------------------- nobody's, and others'


def test_an_empty_account_has_zeros_and_no_rates(person: Person) -> None:
    summary = figures(person, "summary")
    assert summary["total"] == summary["open"] == 0
    assert set(summary["by_category"].values()) == set(summary["by_status"].values()) == {0}
    assert list(summary["by_category"]) == ["saved", "applied", "in_process", "offer", "accepted", "closed"]
    assert summary["responses"] == {"n": 0, "responses": 0, "rate": None, "small_sample": True}
    assert len(figures(person, "activity")["weeks"]) == 26
    funnel = figures(person, "funnel")
    assert {step["share"] for step in funnel["categories"]} == {None}
    assert {step["conversion"] for step in funnel["stages"]} == {None}
    assert figures(person, "sources") == {"sources": [], "resumes": []}
    stays = figures(person, "time-in-stage")["stages"]
    assert [stage["name"] for stage in stays] == ["Saved", "Applied", "Screening", "Interview", "Offer"]
    assert {stage["completed"]["median_days"] for stage in stays} == {None}
    assert figures(person, "quiet") == {"items": [], "next_cursor": None}
    assert figures(person, "sankey") == {"nodes": [], "links": []}


def test_what_others_do_shows_in_no_figure(person: Person, new_person: Any, tell: Tell) -> None:
    stranger = new_person()
    before = {name: figures(stranger, name) for name in FIGURES}
    tell(("applied", 90), source="LinkedIn")
    assert {name: figures(stranger, name) for name in FIGURES} == before
    assert all(figures(person, name) != before[name] for name in FIGURES if name != "activity")


@pytest.mark.parametrize("name", ["summary", "activity", "funnel", "sources", "sankey"])
def test_a_period_that_runs_backwards_is_refused(person: Person, name: str) -> None:
    answer = person.get(f"/api/analytics/{name}", params={"from": "2026-02-01", "to": "2026-01-01"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "period")


# ---------------------------------------------------------------- summary


def test_a_summary_counts_what_is_due_and_what_was_answered(person: Person, sql: Sql, tell: Tell) -> None:
    tell()  # saved
    tell(("applied", 9), ("rejected", 2))
    tell(("applied", 45))
    tell(("applied", 65))
    applied = tell(("applied", 9), ("interview", 8), ("withdrawn", 1))
    for due, done in (("now() - interval '1 hour'", "NULL"), ("now() + interval '3 days'", "NULL"), ("now()", "now()")):
        sql.execute(
            f"INSERT INTO tasks (user_id, title, due_at, done_at) VALUES (%s, 'Call', {due}, {done})".encode(),
            [person.id],
        )
    for hours, outcome in ((1, "pending"), (24 * 6, "pending"), (24 * 8, "pending"), (2, "cancelled"), (-1, "pending")):
        sql.execute(
            """INSERT INTO interviews (user_id, application_id, kind, starts_at, time_zone, outcome)
               VALUES (%s, %s, 'video', now() + %s * interval '1 hour', 'UTC', %s)""",
            [person.id, applied["id"], hours, outcome],
        )
    summary = figures(person, "summary")
    assert (summary["total"], summary["open"]) == (5, 2)
    assert summary["by_category"]["closed"] == 2
    assert (summary["by_status"]["rejected"], summary["by_status"]["withdrawn"]) == (1, 1)
    assert summary["responses"] == {"n": 4, "responses": 2, "rate": 0.5, "small_sample": True}
    assert summary["applied"]["last_30_days"] == 2
    assert summary["overdue_follow_ups"] == 2
    assert summary["tasks"] == {"due": 1, "overdue": 1}
    assert summary["interviews_next_7_days"] == 2
    assert summary["quiet"] == {"quiet": 1, "gone": 1}


def test_a_period_confines_totals_by_the_day_applied(person: Person, tell: Tell) -> None:
    tell(status="applied", applied_on="2026-01-31")
    tell(status="applied", applied_on="2026-02-01", source="LinkedIn")
    tell()  # never applied to: in no period
    assert figures(person, "summary")["total"] == 3
    february = {"from": "2026-02-01", "to": "2026-02-28"}
    assert figures(person, "summary", **february)["total"] == 1
    assert figures(person, "funnel", **february)["applied"] == 1
    assert figures(person, "sources", to="2026-01-31")["sources"][0]["source"] is None
    assert figures(person, "sankey", **{"from": "2026-02-01"})["nodes"][0]["count"] == 1


# ---------------------------------------------------------------- weeks


def test_a_week_is_one_of_the_users_calendar(person: Person, sql: Sql, tell: Tell) -> None:
    person.patch("/api/profile", {"time_zone": "Pacific/Auckland"})
    late_on_sunday = tell()  # in UTC; Monday in Auckland
    since(sql, late_on_sunday, "2026-03-01T20:00:00Z")
    tell(status="applied", applied_on="2026-02-22")  # a Sunday
    weeks = figures(person, "activity", **{"from": "2026-02-18", "to": "2026-03-04"})["weeks"]
    assert weeks == [
        {"week": "2026-02-16", "applied": 1, "events": 1},
        {"week": "2026-02-23", "applied": 0, "events": 0},
        {"week": "2026-03-02", "applied": 0, "events": 1},
    ]


def test_this_week_begins_on_the_users_monday(person: Person, tell: Tell) -> None:
    person.patch("/api/profile", {"time_zone": "Pacific/Kiritimati"})
    today = datetime.now(ZoneInfo("Pacific/Kiritimati")).date()
    monday = today - timedelta(days=today.weekday())
    for day in (monday, monday - timedelta(days=1), monday - timedelta(days=7), monday - timedelta(days=8)):
        tell(status="applied", applied_on=day.isoformat())
    applied = figures(person, "summary")["applied"]
    assert (applied["this_week"], applied["last_week"]) == (1, 2)
    assert figures(person, "activity")["weeks"][-1]["week"] == monday.isoformat()


def test_at_most_260_weeks_are_shown(person: Person) -> None:
    latest = datetime(2026, 3, 2, tzinfo=UTC).date()  # a Monday
    first = latest - timedelta(weeks=259)
    weeks = figures(person, "activity", **{"from": first.isoformat(), "to": latest.isoformat()})["weeks"]
    assert (len(weeks), weeks[0]["week"], weeks[-1]["week"]) == (260, first.isoformat(), latest.isoformat())
    for query in ({"from": (first - timedelta(days=1)).isoformat(), "to": latest.isoformat()}, {"from": "2000-01-01"}):
        answer = person.get("/api/analytics/activity", params=query)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "too_many_weeks")


# ---------------------------------------------------------------- the funnel


def test_a_rejection_after_round_four_came_as_far_as_round_four(person: Person, tell: Tell) -> None:
    tell()
    tell(("applied", 20))
    tell(("applied", 20), ("interview", 15, {"round": 1}), ("interview", 9, {"round": 4}), ("rejected", 1))
    tell(("applied", 20), ("screening", 15), ("ghosted", 1))
    tell(("applied", 20), ("interview", 15, {"round": 2}), ("offer", 9), ("accepted", 1))
    funnel = figures(person, "funnel")
    assert (funnel["total"], funnel["applied"]) == (5, 4)
    steps = by(funnel["categories"], "category")
    assert {name: step["reached"] for name, step in steps.items()} == {
        "saved": 5,
        "applied": 4,
        "in_process": 3,
        "offer": 1,
        "accepted": 1,
    }
    assert steps["in_process"]["rounds"] == [{"round": 4, "reached": 2}]
    assert (steps["in_process"]["share"], steps["in_process"]["conversion"]) == (0.75, 0.3333)
    assert (steps["saved"]["share"], steps["accepted"]["conversion"]) == (None, None)
    stages = by(funnel["stages"], "name")
    assert [stage["furthest"] for stage in funnel["stages"]] == [1, 1, 1, 1, 0, 1]
    assert [stage["reached"] for stage in funnel["stages"]] == [5, 4, 3, 2, 1, 1]
    assert stages["Screening"]["conversion"] == 0.6667


def test_who_was_rejected_has_applied_whatever_was_written_down(person: Person, tell: Tell) -> None:
    tell(status="rejected")
    tell(("rejected", 1))  # saved before
    tell(("withdrawn", 1))  # saved before, and never applied to
    funnel = figures(person, "funnel")
    assert (funnel["total"], funnel["applied"]) == (3, 2)
    assert by(funnel["stages"], "name")["Applied"]["furthest"] == 2
    assert figures(person, "summary")["responses"]["rate"] == 1


# ---------------------------------------------------------------- responses


def test_silence_is_no_response_and_a_rejection_is_one(person: Person, tell: Tell) -> None:
    tell(("applied", 9), source="LinkedIn")
    tell(("applied", 9), ("ghosted", 1), source=" linkedin ")
    tell(("applied", 9), ("rejected", 1), source="LinkedIn")
    tell(("applied", 9), ("screening", 1), source="LinkedIn")
    tell(("applied", 9), ("withdrawn", 1), source="LinkedIn")
    tell(source="LinkedIn")  # not applied to
    tell(("applied", 9), ("offer", 2), ("rejected", 1))
    assert figures(person, "sources")["sources"] == [
        {"source": "LinkedIn", "n": 5, "responses": 2, "rate": 0.4, "small_sample": False, "offers": 0},
        {"source": None, "n": 1, "responses": 1, "rate": 1, "small_sample": True, "offers": 1},
    ]


def test_a_resume_is_judged_by_the_applications_it_was_sent_with(person: Person, sql: Sql, tell: Tell) -> None:
    series = str(uuid4())
    answered, silent = tell(("applied", 9), ("interview", 1)), tell(("applied", 9))
    for name, kind, sent in (("cv.pdf", "resume", [answered, silent]), ("letter.pdf", "cover_letter", [answered])):
        ((file_id,),) = sql.execute(
            "INSERT INTO files (user_id, series_id, kind, name) VALUES (%s, %s, %s, %s) RETURNING id",
            [person.id, series if kind == "resume" else str(uuid4()), kind, name],
        )
        for application in sent:
            sql.execute(
                "INSERT INTO application_files (user_id, application_id, file_id) VALUES (%s, %s, %s)",
                [person.id, application["id"], file_id],
            )
    (resume,) = figures(person, "sources")["resumes"]
    assert (resume["name"], resume["series_id"], resume["n"], resume["rate"]) == ("cv.pdf", series, 2, 0.5)


def test_the_fifty_largest_sources_are_shown(person: Person, sql: Sql) -> None:
    sql.execute(
        """INSERT INTO applications (user_id, company, position, status, source)
           SELECT %s, 'Contoso', 'Engineer', 'applied', 'source ' || least(n, 51) FROM generate_series(1, 52) AS n""",
        [person.id],
    )
    sources = figures(person, "sources")["sources"]
    assert len(sources) == 50
    assert (sources[0]["source"], sources[0]["n"]) == ("source 51", 2)


# ---------------------------------------------------------------- times


def test_a_stay_lasts_through_rounds_until_another_stage(person: Person, tell: Tell) -> None:
    rounds = ("interview", 16, {"round": 1}), ("interview", 10, {"round": 2})
    tell(("applied", 20), *rounds, ("offer", 6), begun=30)
    tell(("applied", 20), ("interview", 18), ("rejected", 6), begun=22)
    stays = by(figures(person, "time-in-stage")["stages"], "name")
    assert stays["Saved"]["completed"] == {"n": 2, "median_days": 6, "p90_days": 9.2, "small_sample": True}
    assert stays["Applied"]["completed"]["median_days"] == 3
    assert stays["Interview"]["completed"] == {"n": 2, "median_days": 11, "p90_days": 11.8, "small_sample": True}
    assert stays["Offer"]["completed"]["n"] == 0
    assert stays["Offer"]["waiting"]["n"] == 1
    assert stays["Offer"]["waiting"]["median_days"] == pytest.approx(6, abs=0.05)
    assert "Closed" not in stays
    assert "Accepted" not in stays


# ---------------------------------------------------------------- quiet


def test_quiet_applications_are_listed_the_longest_first_and_left_alone(person: Person, sql: Sql, tell: Tell) -> None:
    for days, step in ((10, "applied"), (30, "interview"), (59, "offer"), (60, "applied"), (90, "applied")):
        tell((step, days), company=f"{days} days")
    tell(("applied", 90), ("rejected", 80))
    since(sql, tell(), ago(90))  # saved: nobody was asked
    seen = figures(person, "quiet")["items"]
    assert [(item["company"], item["level"], item["suggestion"]) for item in seen] == [
        ("90 days", "gone", "close_as_ghosted"),
        ("60 days", "gone", "close_as_ghosted"),
        ("59 days", "quiet", "follow_up"),
        ("30 days", "quiet", "follow_up"),
    ]
    assert [item["days_quiet"] for item in seen] == [90, 60, 59, 30]
    assert [item["days_waiting"] for item in seen] == [90, 60, 59, 30]
    assert figures(person, "quiet", days=60)["items"] == seen[:2]
    waiting = figures(person, "quiet", days=10)["items"][-1]
    assert (waiting["company"], waiting["level"], waiting["suggestion"]) == ("10 days", "waiting", None)
    assert [person.get(f"/api/applications/{item['id']}").json()["version"] for item in seen] == [
        item["version"] for item in seen
    ], "looking changes nothing"
    first = figures(person, "quiet", limit=3)
    second = figures(person, "quiet", limit=3, cursor=first["next_cursor"])
    assert first["items"] + second["items"] == seen
    assert second["next_cursor"] is None


# ---------------------------------------------------------------- stages that are gone


def test_a_retired_stage_is_shown_while_it_says_something(person: Person, sql: Sql, tell: Tell) -> None:
    used, unused = (add_stage(sql, person, name, 9) for name in ("Trial day", "Assessment"))
    tell(("applied", 9), (used, 5), ("rejected", 2))
    sql.execute("UPDATE stages SET retired_at = now() WHERE id = ANY(%s::uuid[])", [[used, unused]])
    for shown in (figures(person, "funnel")["stages"], figures(person, "time-in-stage")["stages"]):
        assert "Trial day" in by(shown, "name")
        assert "Assessment" not in by(shown, "name")
