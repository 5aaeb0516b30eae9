"""The timeline: what is written down stays, what is corrected is kept beside, and the rest follows from it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

import psycopg
import pytest

from shared.timeline.models import Activity
from tests.applications.refusals import fault, invalid
from tests.conftest import Person
from tests.timeline.moves import ago, events, move, path_of, read, stage

Sql = psycopg.Connection[Any]


def write(person: Person, application: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer = person.post(f"/api/applications/{application['id']}/events", {"kind": "call", **fields})
    assert answer.status_code == 201, answer.text
    event: dict[str, Any] = answer.json()
    assert answer.headers["location"] == path_of(event)
    return event


def recover(sql: Sql, person: Person, thing: dict[str, Any]) -> None:
    with sql.transaction():
        sql.execute("SELECT set_config('app.user_id', %s, true)", [person.id])
        sql.execute("SET LOCAL ROLE tenant")
        sql.execute("SELECT recover(%s)", [thing["id"]])


def test_an_application_begins_with_one_event(person: Person) -> None:
    application = person.create_application(status="rejected")
    (beginning,) = events(person, application)
    assert (beginning["kind"], beginning["stage_id"], beginning["reason"]) == (
        *("created", application["stage_id"], "rejected"),
    )
    assert (beginning["from_stage_id"], beginning["revisions"], beginning["version"]) == (None, [], 1)


def test_every_activity_is_written_down_to_the_letter(person: Person) -> None:
    application = person.create_application()
    note = "  # They *called*\r\n\n- <b>\u00e9\U0001f600</b>\t\n"
    for kind in get_args(Activity):
        event = write(person, application, kind=kind, note=note, occurred_at=ago(hours=3))
        assert (event["kind"], event["note"], event["facts"]) == (kind, note, {})
        assert person.get(path_of(event)).json() == event
    assert {e["kind"] for e in events(person, application)} == {*get_args(Activity), "created"}
    now = read(person, application)
    assert {**now, "last_activity_at": ""} == {**application, "last_activity_at": ""}, "an activity moves nothing"


def test_an_activity_restarts_the_quiet_clock_and_never_turns_it_back(person: Person) -> None:
    application = person.create_application()
    later = write(person, application)
    assert read(person, application)["last_activity_at"] == later["occurred_at"]
    write(person, application, occurred_at=ago(days=30))
    assert read(person, application)["last_activity_at"] == later["occurred_at"]


def test_moves_are_not_written_as_activities(person: Person) -> None:
    application = person.create_application()
    for kind in ("moved", "created", "edited", "imported", ""):
        answer = person.post(f"/api/applications/{application['id']}/events", {"kind": kind})
        assert fault(answer) == invalid("kind")


def test_nothing_has_happened_in_the_future(person: Person) -> None:
    application = person.create_application()
    body = {"kind": "call", "occurred_at": ago(minutes=-10)}
    assert fault(person.post(f"/api/applications/{application['id']}/events", body)) == invalid("occurred_at")
    event = write(person, application, occurred_at=ago(minutes=-3))
    assert fault(person.patch(path_of(event), {"occurred_at": ago(minutes=-10)})) == invalid("occurred_at")


def test_the_list_is_by_when_it_happened_and_pages_on_without_gaps(person: Person) -> None:
    application = person.create_application()
    hours = [5, 1, 9, 3, 3, 3, 7]
    for n in hours:
        write(person, application, occurred_at=ago(hours=n), note=str(n))
    listed: list[dict[str, Any]] = []
    query = "?limit=2"
    while query:
        page = person.get(f"/api/applications/{application['id']}/events{query}").json()
        listed += page["items"]
        query = page["next_cursor"] and f"?limit=2&cursor={page['next_cursor']}"
    assert [event["note"] for event in listed] == [None, "1", "3", "3", "3", "5", "7", "9"]
    assert listed == events(person, application)
    assert {e["kind"] for e in events(person, application, "?kind=created,moved")} == {"created"}
    refused = person.get(f"/api/applications/{application['id']}/events?kind=")
    assert fault(refused)[:2] == (422, "validation_failed")


def test_what_an_event_said_before_is_kept_newest_first(person: Person) -> None:
    event = write(person, person.create_application(), note="They called", occurred_at=ago(days=2))
    texts = ["They called.", None, "We called."]
    for n, note in enumerate(texts):
        event = person.patch(path_of(event), {"note": note}).json()
        assert (event["note"], event["version"]) == (note, n + 2)
    event = person.patch(path_of(event), {"kind": "meeting", "occurred_at": ago(days=1)}).json()
    assert [r["note"] for r in event["revisions"]] == ["We called.", None, "They called.", "They called"]
    assert [r["kind"] for r in event["revisions"]] == ["call"] * 4
    assert person.get(path_of(event)).json() == event
    assert person.patch(path_of(event), {}).json() == event, "nothing was asked for"
    same = person.patch(path_of(event), {"kind": "meeting"}).json()
    assert same["revisions"] == event["revisions"], "nothing was overwritten"


def test_nobody_can_lose_what_an_event_said(person: Person, sql: Sql) -> None:
    event = write(person, person.create_application(), note="first")
    person.patch(path_of(event), {"note": "second"})
    with sql.transaction(force_rollback=True):
        sql.execute("SELECT set_config('app.user_id', %s, true)", [person.id])
        sql.execute("SET LOCAL ROLE tenant")
        for statement in (
            b"UPDATE event_revisions SET was = '{}'",
            b"DELETE FROM event_revisions",
            b"TRUNCATE application_events CASCADE",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), sql.transaction():
                sql.execute(statement)
        sql.execute("UPDATE application_events SET note = 'third' WHERE id = %s", [event["id"]])
        kept = sql.execute("SELECT was ->> 'note' FROM event_revisions WHERE event_id = %s ORDER BY id", [event["id"]])
        assert kept.fetchall() == [("first",), ("second",)], "whichever statement overwrites it"


def test_sixteen_corrections_at_once_are_all_kept(person: Person) -> None:
    event = write(person, person.create_application(), note="begin")
    with ThreadPoolExecutor(16) as crowd:
        answers = list(crowd.map(lambda n: person.patch(path_of(event), {"note": str(n)}).status_code, range(16)))
    assert set(answers) == {200}
    now = person.get(path_of(event)).json()
    said = [now["note"], *(revision["note"] for revision in now["revisions"])]
    assert sorted(said) == sorted(["begin", *map(str, range(16))])


def test_what_was_overwritten_in_an_application_is_kept_and_stays(person: Person) -> None:
    application = person.create_application(notes="old", tags=["a"], salary_min=1, salary_currency="EUR")
    person.patch(f"/api/applications/{application['id']}", {"notes": None, "tags": [], "company": "Contoso"})
    (edited,) = events(person, application, "?kind=edited")
    assert edited["facts"] == {"was": {"notes": "old", "tags": ["a"]}}
    for refused in (person.patch(path_of(edited), {"note": "x"}), person.delete(path_of(edited))):
        assert fault(refused)[:2] == (409, "event_is_kept")
    assert person.get(path_of(edited)).json() == edited


def test_a_corrected_move_moves_the_application(person: Person) -> None:
    application = person.create_application()
    for status, days in (("applied", 9), ("interview", 5), ("offer", 1)):
        move(person, application, status=status, occurred_at=ago(days=days))
    latest, middle, *_ = events(person, application, "?kind=moved")
    assert latest["from_stage_id"] == middle["stage_id"]
    person.patch(path_of(latest), {"occurred_at": ago(days=7)})
    now = read(person, application)
    assert (now["status"], now["stage_since"]) == ("interview", middle["occurred_at"])
    assert events(person, application, "?kind=moved")[0]["from_stage_id"] == latest["stage_id"]
    person.patch(path_of(middle), {"stage_id": stage(person, "Closed"), "reason": "ghosted"})
    now = read(person, application)
    assert (now["status"], now["close_reason"], now["furthest_category"]) == ("ghosted", "ghosted", "offer")


def test_another_note_of_a_move_leaves_the_application_at_its_version(person: Person) -> None:
    application = move(person, person.create_application(), status="offer")
    (moved,) = events(person, application, "?kind=moved")
    assert person.patch(path_of(moved), {"note": "By phone."}).json()["note"] == "By phone."
    assert person.patch(path_of(moved), {}).status_code == 200
    assert read(person, application) == application


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"round": 2}, "round"), ({"reason": "rejected"}, "reason"), ({"round_name": "x"}, "round_name")],
)
def test_an_activity_has_nothing_of_a_move(person: Person, changes: dict[str, Any], field: str) -> None:
    event = write(person, person.create_application())
    assert fault(person.patch(path_of(event), changes)) == invalid(field)
    assert fault(person.patch(path_of(event), {"stage_id": stage(person, "Offer")})) == invalid("stage_id")


def test_a_move_is_no_activity_and_only_closing_has_a_reason(person: Person, new_person: Callable[..., Person]) -> None:
    application = move(person, person.create_application(), status="offer")
    (moved,) = events(person, application, "?kind=moved")
    assert fault(person.patch(path_of(moved), {"kind": "call"})) == invalid("kind")
    assert fault(person.patch(path_of(moved), {"reason": "declined"})) == invalid("reason")
    assert fault(person.patch(path_of(moved), {"stage_id": stage(new_person(), "Offer")})) == invalid("stage_id")
    assert fault(person.patch(path_of(moved), {"stage_id": None})) == invalid("stage_id")
    assert fault(person.patch(path_of(moved), {"occurred_at": None})) == invalid("occurred_at")
    screening = stage(person, "Screening")
    person.delete(f"/api/stages/{screening}")
    assert fault(person.patch(path_of(moved), {"stage_id": screening})) == invalid("stage_id")
    assert read(person, application) == application


def test_a_deleted_move_comes_back_from_the_trash_with_what_it_said_before(person: Person, sql: Sql) -> None:
    application = move(person, person.create_application(), status="applied", occurred_at=ago(days=3))
    offer = move(person, application, status="offer")
    (moved, *_) = events(person, application, "?kind=moved")
    moved = person.patch(path_of(moved), {"note": "By phone."}).json()
    assert person.delete(path_of(moved), headers={"If-Match": '"1"'}).status_code == 412
    assert person.delete(path_of(moved)).status_code == 204
    now = read(person, application)
    assert (now["status"], now["stage_since"], now["furthest_category"]) == (
        *("applied", application["stage_since"], "applied"),
    )
    assert person.get(path_of(moved)).status_code == 404
    recover(sql, person, moved)
    assert person.get(path_of(moved)).json() == moved
    back = read(person, application)
    assert (back["status"], back["stage_since"], back["furthest_category"]) == ("offer", offer["stage_since"], "offer")


def test_an_application_comes_back_from_the_trash_with_its_whole_timeline(person: Person, sql: Sql) -> None:
    application = move(person, person.create_application(), status="interview", round=2)
    person.patch(f"/api/applications/{application['id']}", {"notes": "changed"})
    person.patch(path_of(write(person, application, note="a")), {"note": "b"})
    before = read(person, application), events(person, application)
    assert person.delete(f"/api/applications/{application['id']}").status_code == 204
    recover(sql, person, application)
    assert (read(person, application), events(person, application)) == before


def test_the_last_event_that_says_where_it_is_stays(person: Person) -> None:
    application = person.create_application()
    (beginning,) = events(person, application)
    assert fault(person.delete(path_of(beginning)))[:2] == (409, "last_move")
    moved = move(person, application, status="offer")
    assert person.delete(path_of(beginning)).status_code == 204, "now there is another"
    assert read(person, application)["stage_id"] == moved["stage_id"]


def test_deleting_the_last_two_at_once_leaves_one(person: Person) -> None:
    application = move(person, person.create_application(), status="offer")
    paths = [path_of(event) for event in events(person, application)]
    with ThreadPoolExecutor(2) as crowd:
        assert sorted(crowd.map(lambda path: person.delete(path).status_code, paths)) == [204, 409]
    assert len(events(person, application)) == 1


def test_an_event_of_another_application_is_not_found_under_this_one(person: Person) -> None:
    event, other = write(person, person.create_application()), person.create_application()
    path = f"/api/applications/{other['id']}/events/{event['id']}"
    for answer in (person.get(path), person.patch(path, {"note": "x"}), person.delete(path)):
        assert fault(answer)[:2] == (404, "not_found")
    assert person.get(path_of(event)).json() == event


def test_a_stale_correction_is_refused(person: Person) -> None:
    event = write(person, person.create_application())
    assert person.patch(path_of(event), {"note": "a"}, headers={"If-Match": '"1"'}).status_code == 200
    refused = person.patch(path_of(event), {"note": "b"}, headers={"If-Match": '"1"'})
    assert (refused.status_code, refused.json()["version"]) == (412, 2)


def test_an_event_is_written_once_for_a_key(person: Person) -> None:
    path = f"/api/applications/{person.create_application()['id']}/events"
    first, again = (person.post(path, {"kind": "call"}, headers={"Idempotency-Key": "call"}) for _ in range(2))
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert (first.json(), first.headers["location"]) == (again.json(), again.headers["location"])


def test_a_timeline_has_an_end_but_what_is_overwritten_is_kept_all_the_same(person: Person, sql: Sql) -> None:
    application = person.create_application()
    sql.execute(
        "INSERT INTO application_events (user_id, application_id, kind, occurred_at) "
        "SELECT %s, %s, 'call', now() - n * interval '1 minute' FROM generate_series(1, 1999) n",
        [person.id, application["id"]],
    )
    path = f"/api/applications/{application['id']}"
    for refused in (person.post(f"{path}/events", {"kind": "call"}), person.post(f"{path}/move", {"status": "offer"})):
        assert fault(refused)[:2] == (409, "timeline_full")
    assert person.patch(path, {"notes": "still mine"}).status_code == 200
    event = events(person, application, "?kind=call&limit=1")[0]
    sql.execute(
        "INSERT INTO event_revisions (user_id, event_id, was) "
        "SELECT user_id, id, to_jsonb(e) - 'facts' FROM application_events e, generate_series(1, 200) WHERE id = %s",
        [event["id"]],
    )
    assert fault(person.patch(path_of(event), {"note": "x"}))[:2] == (409, "timeline_full")
    assert person.delete(path_of(event)).status_code == 204
