"""Timer triggers: their schedules, and the loop that keeps them."""

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from azure.functions.timer import TimerRequest
from cronsim import CronSim, CronSimError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.functions import Function

log = logging.getLogger(__name__)

# A laptop that slept, or a clock that was set, is noticed within this time.
LONGEST_NAP = 30.0


class ScheduleError(ValueError):
    """A schedule that Azure would refuse, or that never comes."""


class Schedule(Protocol):
    def after(self, moment: datetime) -> datetime:
        """The first run later than ``moment``, which is in UTC."""


@dataclass(frozen=True, slots=True)
class Every:
    """A TimeSpan schedule: so long after the last run."""

    period: timedelta

    def after(self, moment: datetime) -> datetime:
        return moment + self.period


@dataclass(frozen=True, slots=True)
class Cron:
    """An NCRONTAB schedule in UTC, seconds first; five fields mean second 0."""

    expression: str

    def after(self, moment: datetime) -> datetime:
        times = CronSim(self.expression, moment)
        times.day_and = True  # NCRONTAB wants both the day of the month and the weekday; cron would take either
        return next(times)


def schedule(text: str, settings: Mapping[str, str]) -> Schedule:
    """Read a timer's schedule: NCRONTAB, a TimeSpan such as ``00:05:00``, or ``%SETTING%`` with either in it.

    Raises:
        ScheduleError: with a message that quotes the schedule.
    """
    expression = re.sub(r"%([^%]+)%", lambda match: _setting(match[1], text, settings), text).strip()
    if span := re.fullmatch(r"(?:(\d+)\.)?([01]?\d|2[0-3]):([0-5]?\d)(?::([0-5]?\d))?", expression):
        days, hours, minutes, seconds = (int(part or 0) for part in span.groups())
        period = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        if not period:
            raise ScheduleError(f"Schedule {text!r} has no length.")
        return Every(period)
    fields = expression.split()
    # CronSim reads more than NCRONTAB has (L, W, #); a schedule that works here must work in Azure.
    value = r"(\d+|[a-z]{3,})"
    part = rf"(\*|{value}(-{value})?)(/\d+)?"
    if len(fields) not in (5, 6) or not all(re.fullmatch(rf"{part}(,{part})*", f, re.IGNORECASE) for f in fields):
        raise ScheduleError(
            f"Schedule {text!r} is neither NCRONTAB of five or six fields nor a TimeSpan such as 00:05:00."
        )
    # NCRONTAB takes names of any length, CronSim the first three letters.
    cron = Cron(re.sub(r"[A-Za-z]{3,}", lambda match: match[0][:3], " ".join(fields)))
    try:
        cron.after(datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ScheduleError(f"Schedule {text!r}: {error}.") from None
    except StopIteration:
        raise ScheduleError(f"Schedule {text!r} never comes.") from None
    return cron


def _setting(name: str, text: str, settings: Mapping[str, str]) -> str:
    try:
        return settings[name]
    except KeyError:
        raise ScheduleError(f"Schedule {text!r}: the setting {name} is not set.") from None


class Timer:
    """A timer function. One run at a time; a run that is asked for meanwhile waits for the present one."""

    def __init__(self, function: Function, settings: Mapping[str, str]) -> None:
        self.name = function.name
        self.text = str(function.trigger["schedule"])
        self.schedule = schedule(self.text, settings)
        self._function = function
        self._run_on_startup = bool(function.trigger.get("runOnStartup"))
        self._running = asyncio.Lock()

    async def fire(self, *, past_due: bool = False) -> Any:
        """Run the function now. Returns what it returned and raises what it raised."""
        async with self._running:
            # The worker hands over what the host sends; only this much of it is the same on every host.
            return await self._function.invoke(TimerRequest(past_due=past_due, schedule={"AdjustForDST": True}))

    async def keep(self) -> None:
        """Fire at every scheduled moment until cancelled. Moments that pass during a run or in sleep are one."""
        if self._run_on_startup:
            await self._fire_logged()
        while True:
            due = self.schedule.after(_now())
            # The clock is asked again and again: it can be set, and a laptop can sleep.
            while (left := (due - _now()).total_seconds()) > 0:  # noqa: ASYNC110
                await asyncio.sleep(min(left, LONGEST_NAP))
            await self._fire_logged(past_due=left < -LONGEST_NAP)

    async def _fire_logged(self, *, past_due: bool = False) -> None:
        try:
            await self.fire(past_due=past_due)
        except Exception:  # the next run must come whatever this one did
            log.exception("Timer %s failed", self.name)


def routes(timers: Sequence[Timer]) -> list[Route]:
    """``/_local/timers``: what is scheduled, and a way to fire a timer without waiting for its time."""
    by_name = {timer.name: timer for timer in timers}

    async def show(_request: Request) -> Response:
        return JSONResponse(
            {
                "timers": [
                    {
                        "name": t.name,
                        "schedule": t.text,
                        "next_run": t.schedule.after(_now()).isoformat(timespec="seconds"),
                    }
                    for t in timers
                ]
            }
        )

    async def fire(request: Request) -> Response:
        timer = by_name.get(request.path_params["name"])
        if timer is None:
            return JSONResponse({"error": "no such timer", "timers": sorted(by_name)}, 404)
        try:
            return JSONResponse(await timer.fire())
        except Exception as error:  # whatever it was, the caller should hear of it
            log.exception("Timer %s failed", timer.name)
            return JSONResponse({"error": type(error).__name__}, 500)

    return [
        Route("/_local/timers", show, methods=["GET"]),
        Route("/_local/timers/{name}", fire, methods=["POST"]),
    ]


def _now() -> datetime:
    return datetime.now(UTC)
