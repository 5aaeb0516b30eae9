import asyncio
import threading
import time
from datetime import UTC, datetime
from itertools import pairwise

import azure.functions as func
import pytest

from local import functions
from local.deadlines import Deadlines
from local.timers import Every, ScheduleError, Timer, schedule
from tests.local.conftest import Serve, eventually, get, post


def moments(text: str, start: str, count: int) -> list[str]:
    found, moment = [], datetime.fromisoformat(start).replace(tzinfo=UTC)
    for _ in range(count):
        moment = schedule(text, {}).after(moment)
        found.append(moment.isoformat(sep=" ").removesuffix("+00:00"))
    return found


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        ("0 */5 * * * *", "2026-11-20 12:03:10", ["2026-11-20 12:05:00", "2026-11-20 12:10:00"]),
        ("0 0 * * * *", "2026-11-20 23:59:59", ["2026-11-21 00:00:00", "2026-11-21 01:00:00"]),
        (
            "*/20 * * * * *",
            "2026-11-20 12:00:00",
            ["2026-11-20 12:00:20", "2026-11-20 12:00:40", "2026-11-20 12:01:00"],
        ),
        (
            "5,8,10 * * * * *",
            "2026-11-20 12:00:05",
            ["2026-11-20 12:00:08", "2026-11-20 12:00:10", "2026-11-20 12:01:05"],
        ),
        (
            "0 30 9-11 * * *",
            "2026-11-20 12:00:00",
            ["2026-11-21 09:30:00", "2026-11-21 10:30:00", "2026-11-21 11:30:00"],
        ),
        ("0 30 9 * * 1-5", "2026-11-20 12:00:00", ["2026-11-23 09:30:00", "2026-11-24 09:30:00"]),
        ("0 30 9 * * MON-FRI", "2026-11-20 12:00:00", ["2026-11-23 09:30:00", "2026-11-24 09:30:00"]),
        ("0 30 9 * * Monday", "2026-11-20 12:00:00", ["2026-11-23 09:30:00", "2026-11-30 09:30:00"]),
        ("0 0 0 * * 0", "2026-11-20 12:00:00", ["2026-11-22 00:00:00"]),
        ("0 30 9 * Jan Mon", "2026-11-20 12:00:00", ["2027-01-04 09:30:00", "2027-01-11 09:30:00"]),
        ("0 0 0 1 January,7 *", "2026-11-20 12:00:00", ["2027-01-01 00:00:00", "2027-07-01 00:00:00"]),
        ("0 0 0 31 * *", "2026-11-20 12:00:00", ["2026-12-31 00:00:00", "2027-01-31 00:00:00", "2027-03-31 00:00:00"]),
        ("0 0 0 29 2 *", "2026-11-20 12:00:00", ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
        ("59 59 23 31 12 *", "2026-12-31 23:59:59", ["2027-12-31 23:59:59"]),
        (
            "0 10-30/10 * * * *",
            "2026-11-20 12:00:00",
            ["2026-11-20 12:10:00", "2026-11-20 12:20:00", "2026-11-20 12:30:00"],
        ),
        (
            "0 40/10 * * * *",
            "2026-11-20 12:00:00",
            ["2026-11-20 12:40:00", "2026-11-20 12:50:00", "2026-11-20 13:40:00"],
        ),
        ("*/5 * * * *", "2026-11-20 12:03:10", ["2026-11-20 12:05:00"]),
        ("00:05:00", "2026-11-20 12:03:10", ["2026-11-20 12:08:10", "2026-11-20 12:13:10"]),
        ("1.12:30", "2026-11-20 12:00:00", ["2026-11-22 00:30:00"]),
    ],
)
def test_a_schedule_comes_when_azure_would_fire_it(text: str, start: str, expected: list[str]) -> None:
    assert moments(text, start, len(expected)) == expected


def test_a_day_of_the_month_and_a_weekday_must_both_hold() -> None:
    assert moments("0 0 0 13 * FRI", "2026-11-20 12:00:00", 2) == ["2027-08-13 00:00:00", "2028-10-13 00:00:00"]


def test_the_moment_itself_is_not_the_next_one() -> None:
    assert moments("* * * * * *", "2026-11-20 12:00:00", 1) == ["2026-11-20 12:00:01"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * * *",
        "60 * * * * *",
        "0 60 * * * *",
        "0 0 24 * * *",
        "0 0 0 0 * *",
        "0 0 0 1 13 *",
        "0 0 0 * * 8",
        "0 */0 * * * *",
        "0 0 0 L * *",
        "0 0 0 ? * MON",
        "0 0 0 * * MON#1",
        "0 0 0 * Foo *",
        "0 0 0 31 2 *",
        "0 0 0 30 2 MON",
        "@daily",
        "00:00:00",
        "24:00:00",
        "every minute",
    ],
)
def test_a_schedule_that_azure_would_refuse_or_that_never_comes_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError) as refusal:
        schedule(text, {})
    assert repr(text) in str(refusal.value)


def test_a_schedule_may_stand_in_a_setting() -> None:
    assert schedule("%PURGE%", {"PURGE": "00:00:30"}) == schedule("00:00:30", {})
    assert isinstance(schedule("00:%MINUTES%:00", {"MINUTES": "10"}), Every)
    with pytest.raises(ScheduleError, match="PURGE is not set"):
        schedule("%PURGE%", {})


def test_a_timer_fires_at_its_moments_and_outlives_its_failures(app: func.FunctionApp, serving: Serve) -> None:
    times: list[float] = []

    @app.timer_trigger("timer", schedule="* * * * * *")
    async def every_second(timer: func.TimerRequest) -> None:
        times.append(time.time())
        assert not timer.past_due
        raise ValueError("it fails each time")

    serving(app, keep_timers=True)
    eventually(lambda: len(times) >= 3)
    assert all(moment % 1 < 0.5 for moment in times)
    assert all(0.5 < later - earlier < 1.5 for earlier, later in pairwise(times))


def test_a_timer_that_asks_for_it_runs_at_the_start(app: func.FunctionApp, serving: Serve) -> None:
    ran = threading.Event()

    @app.timer_trigger("timer", schedule="0 0 0 1 1 *", run_on_startup=True)
    def yearly(timer: func.TimerRequest) -> None:
        ran.set()

    serving(app, keep_timers=True)
    assert ran.wait(2)


def test_timers_keep_their_schedule_in_one_process_only(app: func.FunctionApp, serving: Serve) -> None:
    fired: list[int] = []

    @app.timer_trigger("timer", schedule="* * * * * *", run_on_startup=True)
    async def every_second(timer: func.TimerRequest) -> None:
        fired.append(1)

    url = serving(app, keep_timers=False)
    time.sleep(1.2)
    assert not fired
    assert post(f"{url}/_local/timers/every_second").status_code == 200
    assert fired == [1]


def test_a_timer_can_be_fired_now_and_says_what_it_returned(app: func.FunctionApp, serving: Serve) -> None:
    @app.timer_trigger("timer", schedule="0 0 3 * * *")
    async def nightly(timer: func.TimerRequest) -> dict[str, int]:
        return {"purged": 3}

    @app.timer_trigger("clock", schedule="%EVERY%")
    def broken(clock: func.TimerRequest, context: func.Context) -> None:
        raise LookupError(context.function_name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERY", "00:10:00")
        url = serving(app)
    answer = post(f"{url}/_local/timers/nightly")
    assert (answer.status_code, answer.json()) == (200, {"purged": 3})
    answer = post(f"{url}/_local/timers/broken")
    assert (answer.status_code, answer.json()) == (500, {"error": "LookupError"})
    answer = post(f"{url}/_local/timers/daily")
    assert (answer.status_code, answer.json()["timers"]) == (404, ["broken", "nightly"])
    assert get(f"{url}/_local/timers/nightly").status_code == 405


def test_the_timers_are_listed_with_their_next_run(app: func.FunctionApp, serving: Serve) -> None:
    @app.timer_trigger("timer", schedule="0 0 3 1 1 *")
    async def yearly(timer: func.TimerRequest) -> None: ...

    (timer,) = get(f"{serving(app)}/_local/timers").json()["timers"]
    assert (timer["name"], timer["schedule"]) == ("yearly", "0 0 3 1 1 *")
    next_run = datetime.fromisoformat(timer["next_run"])
    assert next_run > datetime.now(UTC)
    assert next_run.strftime("%m-%d %H:%M:%S %z") == "01-01 03:00:00 +0000"


def test_a_timer_runs_once_at_a_time(app: func.FunctionApp, serving: Serve) -> None:
    inside: list[int] = []
    most: list[int] = []

    @app.timer_trigger("timer", schedule="0 0 0 1 1 *")
    def slow(timer: func.TimerRequest) -> None:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.1)
        inside.pop()

    url = serving(app)
    calls = [threading.Thread(target=post, args=(f"{url}/_local/timers/slow",)) for _ in range(4)]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert most == [1, 1, 1, 1]


def test_a_schedule_at_fault_is_known_before_anything_is_served(app: func.FunctionApp, serving: Serve) -> None:
    @app.timer_trigger("timer", schedule="now and then")
    async def vague(timer: func.TimerRequest) -> None: ...

    with pytest.raises(ScheduleError, match="now and then"):
        serving(app)


def test_moments_that_passed_in_sleep_are_one_run_that_is_past_due(
    app: func.FunctionApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    @app.timer_trigger("timer", schedule="0 0 * * * *")
    async def hourly(timer: func.TimerRequest) -> None:
        seen.append(timer.past_due)

    clock = iter(datetime(2026, 11, 20, hour, minute, tzinfo=UTC) for hour, minute in [(12, 5), (16, 20), (16, 20)])
    monkeypatch.setattr("local.timers._now", lambda: next(clock))
    (function,), _ = functions.read(app.get_functions(), timeout=None, deadlines=Deadlines())
    with pytest.raises(RuntimeError, match="StopIteration"):  # the clock has no more to say
        asyncio.run(Timer(function, {}).keep())
    assert seen == [True]
