"""An application's state is a fold over its timeline: whatever is done to it, in whichever order."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any, Literal

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import PASSWORD, Person
from tests.timeline.moves import events, path_of, read

Sql = psycopg.Connection[Any]
ORDER = ["saved", "applied", "in_process", "offer", "accepted"]
DAYS = {"applied": 7, "in_process": 4, "offer": 2}
STATUSES = ["saved", "applied", "screening", "interview", "offer", "accepted", "closed"]
CALLED = {"rejected": "rejected", "ghosted": "ghosted", "withdrew": "withdrawn"}
REASONS = [*CALLED, "declined", "own words", None]


@dataclass
class Step:
    """An event with a stage, as the model knows it."""

    at: datetime
    status: str
    kind: str = "moved"
    round: int | None = None
    reason: str | None = None

    @property
    def category(self) -> str:
        return "in_process" if self.status in ("screening", "interview") else self.status


@dataclass
class Model:
    """What the rules of docs/pipeline.md make of a timeline."""

    steps: list[Step]
    own_day: str | None = None
    has_own_day: bool = False
    follow_up: datetime | None = None
    clock: tuple[Any, ...] = field(default_factory=tuple)

    @property
    def latest(self) -> Step:
        return max(self.steps, key=lambda step: step.at)

    def settle(self) -> None:
        """Another latest step sets its own follow-up."""
        latest = self.latest
        if self.clock != (latest.status, latest.at, latest.round):
            self.clock = (latest.status, latest.at, latest.round)
            days = DAYS.get(latest.category)
            nine = latest.at.replace(hour=9, minute=0, second=0, microsecond=0)
            self.follow_up = nine + timedelta(days) if days else None

    @property
    def state(self) -> dict[str, Any]:
        latest = self.latest
        status = latest.status if latest.status != "closed" else CALLED.get(latest.reason or "", "closed")
        far = [step for step in self.steps if step.category != "closed"]
        furthest = max(
            far,
            key=lambda step: (ORDER.index(step.category), step.round or 0, STATUSES.index(step.status)),
            default=None,
        )
        left = [
            step.at
            for step in self.steps
            if step.category not in ("saved", "closed") and (step.kind == "moved" or step.category == "applied")
        ]
        return {
            "status": status,
            "category": latest.category,
            "stage_since": latest.at,
            "round": latest.round,
            "close_reason": latest.reason if latest.category == "closed" else None,
            "furthest_category": furthest.category if furthest else "saved" if status == "closed" else "applied",
            "furthest_round": furthest.round if furthest else None,
            "furthest": furthest.status if furthest else None,
            "applied_on": self.own_day if self.has_own_day else min(left).date().isoformat() if left else None,
            "follow_up_at": self.follow_up,
        }


def shown(document: dict[str, Any], stages: dict[str, str]) -> dict[str, Any]:
    """What the model speaks of, as the app shows it."""

    def moment(name: str) -> datetime | None:
        return datetime.fromisoformat(document[name]) if document[name] else None

    return {
        **{name: document[name] for name in ("status", "category", "round", "close_reason", "applied_on")},
        **{name: document[name] for name in ("furthest_category", "furthest_round")},
        "stage_since": moment("stage_since"),
        "follow_up_at": moment("follow_up_at"),
        "furthest": stages.get(document["furthest_stage_id"]),
    }


@pytest.fixture(scope="module")
def writer(app_url: str) -> Iterator[Person]:
    writer = Person(app_url, email=f"{token_hex(8)}@example.com", checked=False)
    writer.bear(writer.post("/api/auth/register", {"email": writer.email, "password": PASSWORD}).json())
    yield writer
    writer.close()


@pytest.fixture(scope="module")
def owner(database_url: str) -> Iterator[Sql]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


Action = tuple[Literal["move", "patch", "edit", "delete", "day"], int, str, int | None, str | None, int]
actions = st.tuples(
    st.sampled_from(["move", "move", "move", "patch", "edit", "edit", "delete", "day"]),
    st.integers(0, 10_000),  # how many minutes ago
    st.sampled_from(STATUSES),
    st.sampled_from([None, None, 1, 2, 3]),
    st.sampled_from(REASONS),
    st.integers(0, 7),  # which event
)


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(beginning=st.sampled_from(STATUSES), script=st.lists(actions, min_size=3, max_size=9))
def test_any_history_gives_the_state_that_the_rules_give(
    writer: Person, owner: Sql, beginning: str, script: list[Action]
) -> None:
    stages = {s["id"]: s["status"] for s in writer.get("/api/stages").json()["items"]}
    names = {status: stage_id for stage_id, status in stages.items()}
    application = writer.create_application(status=beginning)
    path = f"/api/applications/{application['id']}"

    def reread() -> list[dict[str, Any]]:
        return [event for event in events(writer, application) if event["stage_id"]]

    def steps() -> list[Step]:
        return [
            Step(datetime.fromisoformat(e["occurred_at"]), stages[e["stage_id"]], e["kind"], e["round"], e["reason"])
            for e in reread()
        ]

    model = Model(steps())
    model.settle()
    used: set[int] = set()
    began = datetime.now(UTC).replace(microsecond=0)
    for what, minutes, status, nth_round, reason, nth in script:
        at = began - timedelta(minutes=minutes)
        if what == "move" and minutes not in used:
            used.add(minutes)  # no two at one moment: ids would decide, and they are chance
            why = reason if status == "closed" else None
            fields = {"status": status, "occurred_at": at.isoformat(), "round": nth_round, "reason": why}
            assert writer.post(f"{path}/move", fields).status_code == 200
            for step in model.steps:
                if step.kind == "created" and step.status == "saved" and step.at >= at:
                    step.at = at - timedelta(microseconds=1)
                    model.settle()
            model.steps.append(Step(at, status, "moved", nth_round, why))
        elif what == "patch":
            before = model.latest
            assert writer.patch(path, {"status": status}).status_code == 200
            if (before.status, before.category) != (status, status) and before.status != status:
                made = max(steps(), key=lambda step: step.at)
                assert (made.status, made.round, made.reason) == (status, None, None)
                assert made.at > before.at
                model.steps.append(made)
        elif what == "edit" and minutes not in used:
            used.add(minutes)
            event = reread()[nth % len(model.steps)]
            step = next(s for s in model.steps if s.at == datetime.fromisoformat(event["occurred_at"]))
            why = reason if status == "closed" else None
            changes = {
                "occurred_at": at.isoformat(),
                "stage_id": names[status],
                "round": nth_round,
                "reason": why,
            }
            answer = writer.patch(path_of(event), changes)
            assert answer.status_code == 200, answer.text
            assert answer.json()["revisions"][0]["occurred_at"] == event["occurred_at"]
            step.at, step.status, step.round, step.reason = at, status, nth_round, why
        elif what == "delete":
            event = reread()[nth % len(model.steps)]
            answer = writer.delete(path_of(event))
            if len(model.steps) == 1:
                assert (answer.status_code, answer.json()["code"]) == (409, "last_move")
            else:
                assert answer.status_code == 204
                model.steps = [s for s in model.steps if s.at != datetime.fromisoformat(event["occurred_at"])]
        elif what == "day":
            day = at.date().isoformat() if minutes % 2 else None
            model.has_own_day |= day != model.state["applied_on"]  # to say what it says already decides nothing
            model.own_day = day
            assert writer.patch(path, {"applied_on": day}).status_code == 200
        model.settle()
        document = read(writer, application)
        assert shown(document, stages) == model.state, (what, minutes, status)
        columns = "to_jsonb(a) - '{version,updated_at}'::text[]"
        query = f"SELECT {columns} FROM applications a WHERE id = %s".encode()
        row = owner.execute(query, [application["id"]]).fetchone()
        owner.execute("SELECT fold_timeline(%s)", [application["id"]])
        assert owner.execute(query, [application["id"]]).fetchone() == row, "folding again changes nothing"


def test_the_state_changes_by_the_timeline_only(person: Person, sql: Sql) -> None:
    application = person.create_application(status="applied")
    offer = next(s["id"] for s in person.get("/api/stages").json()["items"] if s["status"] == "offer")
    for change in (
        f"stage_id = '{offer}'",
        "status = 'offer'",
        "category = 'offer'",
        "stage_since = now()",
        "round = 7",
        "close_reason = 'rejected'",
        "furthest_category = 'accepted'",
    ):
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
            sql.execute(
                f"UPDATE applications SET {change}, version = version + 1 WHERE id = %s".encode(), [application["id"]]
            )
    assert read(person, application) == application


def test_the_beginning_of_what_was_not_just_saved_stays_where_it_is(person: Person) -> None:
    application = person.create_application(status="interview")
    moved = person.post(
        f"/api/applications/{application['id']}/move",
        {"status": "applied", "occurred_at": datetime(2026, 5, 1, 12, tzinfo=UTC).isoformat()},
    ).json()
    assert (moved["status"], moved["applied_on"]) == ("interview", "2026-05-01")
    assert moved["stage_since"] == application["stage_since"]
