"""A move: one call, from which the follow-up, the day of applying, the reason and how far it came all follow."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.applications.refusals import fault, invalid
from tests.conftest import Person
from tests.timeline.moves import ago, events, move, read, stage


@pytest.mark.parametrize(
    ("zone", "status", "happened", "follow_up"),
    [
        ("Europe/Berlin", "applied", "2026-03-25T22:30:00+00:00", "2026-04-01T09:00:00+02:00"),  # summer time begins
        ("Europe/Berlin", "applied", "2026-03-25T23:30:00+00:00", "2026-04-02T09:00:00+02:00"),  # the day after, there
        ("Europe/Berlin", "interview", "2026-10-22T10:00:00+00:00", "2026-10-26T09:00:00+01:00"),  # and ends
        ("America/New_York", "offer", "2026-11-01T03:30:00+00:00", "2026-11-02T09:00:00-05:00"),
        ("Pacific/Auckland", "offer", "2026-06-30T13:00:00+00:00", "2026-07-03T09:00:00+12:00"),
        ("UTC", "screening", "2026-02-26T00:00:00+00:00", "2026-03-02T09:00:00+00:00"),
    ],
)
def test_the_follow_up_is_at_nine_where_its_owner_is(
    person: Person, zone: str, status: str, happened: str, follow_up: str
) -> None:
    assert person.patch("/api/profile", {"time_zone": zone}).status_code == 200
    moved = move(person, person.create_application(), status=status, occurred_at=happened)
    at = datetime.fromisoformat(moved["follow_up_at"])
    assert at == datetime.fromisoformat(follow_up)
    assert at.astimezone(ZoneInfo(zone)).hour == 9


def test_closing_clears_the_follow_up_and_an_own_one_holds_until_the_next_move(person: Person) -> None:
    application = move(person, person.create_application(), status="applied")
    own = "2027-01-02T03:04:05+00:00"
    person.patch(f"/api/applications/{application['id']}", {"follow_up_at": own})
    person.post(f"/api/applications/{application['id']}/events", {"kind": "call"})
    assert move(person, application, status="applied")["follow_up_at"] == own, "no move, no other follow-up"
    assert move(person, application, status="offer")["follow_up_at"] not in (own, None)
    assert move(person, application, status="rejected")["follow_up_at"] is None


def test_the_day_of_applying_follows_the_timeline_until_its_owner_sets_it(person: Person) -> None:
    person.patch("/api/profile", {"time_zone": "Asia/Tokyo"})
    application = person.create_application()
    assert application["applied_on"] is None
    assert move(person, application, status="withdrawn")["applied_on"] is None, "closed without ever applying"
    first = move(person, application, status="screening", occurred_at="2026-05-04T16:00:00Z")
    assert first["applied_on"] == "2026-05-05", "in Tokyo it was the day after"
    assert move(person, application, status="applied", occurred_at="2026-05-01T00:00:00Z")["applied_on"] == "2026-05-01"
    path = f"/api/applications/{application['id']}"
    assert person.patch(path, {"applied_on": "2026-04-30"}).json()["applied_on"] == "2026-04-30"
    assert move(person, application, status="applied", occurred_at="2026-04-01T00:00:00Z")["applied_on"] == "2026-04-30"
    assert person.patch(path, {"applied_on": None}).json()["applied_on"] is None
    assert move(person, application, status="interview")["applied_on"] is None


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({"status": "rejected"}, "rejected", "rejected"),
        ({"status": "ghosted"}, "ghosted", "ghosted"),
        ({"status": "withdrawn"}, "withdrawn", "withdrew"),
        ({"status": "closed", "reason": "withdrew"}, "withdrawn", "withdrew"),
        ({"status": "closed", "reason": "declined"}, "closed", "declined"),
        ({"status": "closed", "reason": "role_closed"}, "closed", "role_closed"),
        ({"status": "closed", "reason": "They moved to Oslo"}, "closed", "They moved to Oslo"),
        ({"status": "closed"}, "closed", None),
    ],
)
def test_a_reason_decides_what_closed_is_called(
    person: Person, fields: dict[str, Any], status: str, reason: str | None
) -> None:
    moved = move(person, person.create_application(status="offer"), **fields)
    assert (moved["category"], moved["status"], moved["close_reason"]) == ("closed", status, reason)
    assert moved["furthest_category"] == "offer"


def test_moving_back_keeps_how_far_it_came(person: Person) -> None:
    application = person.create_application(status="applied")
    far = move(person, application, status="interview", round=4, round_name="Board")
    assert (far["round"], far["round_name"]) == (4, "Board")
    for status in ("interview", "screening", "saved", "rejected"):
        moved = move(person, application, status=status, round=1)
        assert moved["status"] == status
        assert (moved["furthest_category"], moved["furthest_round"]) == ("in_process", 4)
        assert moved["furthest_stage_id"] == far["stage_id"]


def test_a_move_to_where_it_is_moves_nothing(person: Person) -> None:
    panel = person.post("/api/stages", {"name": "Panel", "category": "in_process"}).json()["id"]
    application = move(person, person.create_application(), stage_id=panel, round=2, round_name="Second")
    same: list[dict[str, Any]] = [
        {"stage_id": panel},
        {"status": "interview"},
        {"status": "in_process", "round": 2},
        {"status": "interview", "round_name": "Second"},
    ]
    assert [move(person, application, **fields) for fields in same] == [application] * 4
    path = f"/api/applications/{application['id']}"
    assert person.patch(path, {"status": "interview"}).json()["stage_id"] == panel, "what was read may be sent back"
    assert len(events(person, application, "?kind=moved")) == 1
    assert move(person, application, status="interview", note="They asked again.")["round_name"] == "Second"
    assert move(person, application, status="interview", round=3)["round_name"] is None
    assert len(events(person, application, "?kind=moved")) == 3


def test_closed_for_a_reason_and_moved_to_closed_keeps_the_reason(person: Person) -> None:
    application = move(person, person.create_application(), status="rejected")
    assert move(person, application, status="closed") == application
    assert move(person, application, status="closed", note="By mail.")["close_reason"] == "rejected"
    assert move(person, application, status="withdrawn")["close_reason"] == "withdrew"


def test_a_back_dated_move_is_history_and_the_latest_is_where_it_is(person: Person) -> None:
    application = move(person, person.create_application(), status="offer", occurred_at=ago(days=1))
    past = move(person, application, status="interview", occurred_at=ago(days=9))
    assert (past["status"], past["stage_since"]) == ("offer", application["stage_since"])
    assert past["follow_up_at"] == application["follow_up_at"]


def test_a_move_made_now_is_the_latest_also_after_a_clock_that_is_ahead(person: Person) -> None:
    application = move(person, person.create_application(), status="applied", occurred_at=ago(minutes=-4))
    assert move(person, application, status="offer")["status"] == "offer"
    assert move(person, application, status="rejected")["status"] == "rejected"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"status": "offer", "occurred_at": "2199-01-01T00:00:00Z"}, "occurred_at"),
        ({"status": "offer", "reason": "declined"}, "reason"),
        ({"stage_id": "01890000-0000-7000-8000-000000000000"}, "stage_id"),
        ({"status": "offer", "round": 0}, "round"),
        ({"status": "offer", "stage_id": "01890000-0000-7000-8000-000000000000"}, ""),
        ({}, ""),
    ],
)
def test_a_move_that_cannot_be_changes_nothing(person: Person, fields: dict[str, Any], field: str) -> None:
    application = person.create_application()
    assert fault(person.post(f"/api/applications/{application['id']}/move", fields)) == invalid(field)
    assert read(person, application) == application


def test_nobody_moves_into_anothers_stage(person: Person, new_person: Callable[..., Person]) -> None:
    application, theirs = person.create_application(), stage(new_person(), "Offer")
    for answer in (
        person.post(f"/api/applications/{application['id']}/move", {"stage_id": theirs}),
        person.patch(f"/api/applications/{application['id']}", {"stage_id": theirs}),
    ):
        assert fault(answer) == invalid("stage_id")


def test_sixteen_moves_at_once_are_all_kept_and_the_latest_is_where_it_is(person: Person) -> None:
    application = person.create_application()
    statuses = ["applied", "screening", "interview", "offer"] * 4

    with ThreadPoolExecutor(16) as crowd:
        answers = list(
            crowd.map(lambda n: move(person, application, status=statuses[n], round=n + 1, note=str(n)), range(16))
        )
    kept = events(person, application, "?kind=moved")
    assert sorted(event["note"] for event in kept) == sorted(map(str, range(16)))
    assert len({event["occurred_at"] for event in kept}) == 16
    now = read(person, application)
    assert (now["stage_id"], now["round"]) == (kept[0]["stage_id"], kept[0]["round"])
    assert now["version"] == 17
    assert sorted(answer["version"] for answer in answers) == list(range(2, 18))
    assert (now["furthest_category"], now["furthest_round"]) == ("offer", 16)


def test_of_sixteen_moves_of_one_version_one_is_made(person: Person) -> None:
    path = f"/api/applications/{person.create_application()['id']}/move"
    with ThreadPoolExecutor(16) as crowd:
        answers = list(
            crowd.map(
                lambda n: person.post(path, {"status": "offer", "round": n}, headers={"If-Match": '"1"'}).status_code,
                range(1, 17),
            )
        )
    assert sorted(answers) == [200] + [412] * 15


def test_a_move_is_made_once_for_a_key_and_answered_the_same(person: Person) -> None:
    application = person.create_application()
    path, key = f"/api/applications/{application['id']}/move", {"Idempotency-Key": "a move"}
    body = {"status": "interview", "note": "They called."}
    first = person.post(path, body, headers=key)
    move(person, application, status="rejected")
    again = person.post(path, body, headers=key)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert (again.json(), again.headers["etag"]) == (first.json(), first.headers["etag"])
    assert len(events(person, application, "?kind=moved")) == 2
    assert read(person, application)["status"] == "rejected"
    assert fault(person.post(path, {"status": "offer"}, headers=key))[1] == "idempotency_key_reused"


def test_a_status_and_words_changed_together_are_a_move_and_an_edit(person: Person) -> None:
    application = person.create_application(notes="before")
    changed = person.patch(
        f"/api/applications/{application['id']}", {"status": "rejected", "notes": "after"}, headers={"If-Match": '"1"'}
    ).json()
    assert (changed["status"], changed["close_reason"], changed["notes"]) == ("rejected", "rejected", "after")
    edited, moved = (events(person, application, f"?kind={kind}") for kind in ("edited", "moved"))
    assert [event["facts"] for event in edited] == [{"was": {"notes": "before"}}]
    assert [event["reason"] for event in moved] == ["rejected"]


def test_what_was_saved_today_and_applied_for_last_week_is_applied_for(person: Person) -> None:
    application = person.create_application()
    moved = move(person, application, status="applied", occurred_at=ago(days=7))
    assert (moved["status"], moved["stage_since"][:19]) == ("applied", ago(days=7)[:19])
    assert moved["applied_on"] == ago(days=7)[:10]
    applied, saved = events(person, application)
    assert applied["from_stage_id"] == saved["stage_id"] == application["stage_id"]
    assert [revision["occurred_at"] for revision in saved["revisions"]] == [application["stage_since"]]
