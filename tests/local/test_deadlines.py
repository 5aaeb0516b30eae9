import asyncio

import pytest

from local.deadlines import Deadlines


@pytest.fixture(autouse=True)
def precise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.deadlines.PRECISION", 0.01)


def test_what_ends_in_time_is_left_alone() -> None:
    async def work() -> str:
        await asyncio.sleep(0.05)
        return "done"

    assert asyncio.run(Deadlines().within(5, work())) == "done"


def test_what_takes_too_long_is_cancelled() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            ended.append("cleaned up")

    with pytest.raises(TimeoutError):
        asyncio.run(Deadlines().within(0.05, work()))
    assert ended == ["cleaned up"]


def test_each_has_a_deadline_of_its_own() -> None:
    async def race() -> list[object]:
        deadlines = Deadlines()
        works = [deadlines.within(seconds, asyncio.sleep(0.1, seconds)) for seconds in (0.01, 5, 0.02, 5)]
        return [type(result) for result in await asyncio.gather(*works, return_exceptions=True)]

    assert asyncio.run(race()) == [TimeoutError, int, TimeoutError, int]


def test_a_deadline_that_passed_does_not_follow_the_task() -> None:
    async def work() -> str:
        deadlines = Deadlines()
        with pytest.raises(TimeoutError):
            await deadlines.within(0.02, asyncio.sleep(30))
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        return await deadlines.within(5, asyncio.sleep(0.05, "goes on"))

    assert asyncio.run(work()) == "goes on"


def test_a_cancellation_from_outside_stays_one() -> None:
    async def work() -> None:
        task = asyncio.create_task(Deadlines().within(5, asyncio.sleep(30)))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())


def test_the_inner_of_two_deadlines_ends_the_inner_work_only() -> None:
    async def outer() -> str:
        deadlines = Deadlines()

        async def inner() -> str:
            with pytest.raises(TimeoutError):
                await deadlines.within(0.02, asyncio.sleep(30))
            return "outer goes on"

        return await deadlines.within(5, inner())

    assert asyncio.run(outer()) == "outer goes on"
