"""One request after another, any requests at all: the app agrees with a model of twenty lines."""

from dataclasses import dataclass, field
from typing import Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Person
from tests.quotas.asking import SQL, commit, consume, expire, release, reserve, standing
from tests.quotas.conftest import NewMetric

LIMIT = 6
Kind = Literal["consumption", "reservation"]


@dataclass
class Entry:
    kind: Kind
    units: int
    state: Literal["reserved", "committed", "released"]
    expired: bool = False


@dataclass
class Model:
    """What quotas are meant to be."""

    used: int = 0
    entries: dict[str, Entry] = field(default_factory=dict)

    @property
    def reserved(self) -> int:
        return sum(e.units for e in self.entries.values() if e.state == "reserved" and not e.expired)

    def take(self, kind: Kind, key: str | None, units: int) -> int:
        if known := self.entries.get(key or ""):
            return (200 if kind == "consumption" else 201) if (known.kind, known.units) == (kind, units) else 422
        if self.used + self.reserved + units > LIMIT:
            return 429
        if key:
            self.entries[key] = Entry(kind, units, "committed" if kind == "consumption" else "reserved")
        if kind == "consumption":
            self.used += units
        return 200 if kind == "consumption" else 201

    def settle(self, key: str, state: Literal["committed", "released"]) -> int:
        entry = self.entries.get(key)
        if entry is None or entry.kind == "consumption":
            return 404
        if entry.state == "reserved":
            if state == "committed":
                if entry.expired and self.used + self.reserved + entry.units > LIMIT:
                    return 409
                self.used += entry.units
            entry.state = state
        return 200 if entry.state == state else 409


keys = st.sampled_from("abcd")
units = st.integers(1, 3)
steps = st.one_of(
    st.tuples(st.just("consume"), st.none() | keys, units),
    st.tuples(st.just("reserve"), keys, units),
    st.tuples(st.sampled_from(["commit", "release", "expire"]), keys, st.just(0)),
)


def test_the_app_agrees_with_the_model(person: Person, new_metric: NewMetric, sql: SQL) -> None:
    @settings(
        max_examples=40,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.lists(steps, min_size=1, max_size=20))
    def live(story: list[tuple[str, str | None, int]]) -> None:
        metric, model, ids = new_metric(LIMIT), Model(), dict[str, str]()
        for action, key, units in story:
            if action == "consume":
                given_key = {"key": key} if key else {}
                assert consume(person, metric, units, **given_key).status_code == model.take("consumption", key, units)
            elif action == "reserve":
                assert key
                answer = reserve(person, metric, key, units)
                assert answer.status_code == model.take("reservation", key, units)
                if answer.status_code == 201:
                    assert ids.setdefault(key, answer.json()["id"]) == answer.json()["id"]
            elif key in ids:
                if action == "expire":
                    expire(sql, ids[key])
                    model.entries[key].expired = True
                elif action == "commit":
                    assert commit(person, ids[key]).status_code == model.settle(key, "committed")
                else:
                    assert release(person, ids[key]).status_code == model.settle(key, "released")
            assert standing(person, metric) == (model.used, model.reserved)

    live()
