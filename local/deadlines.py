"""How long things may take, at a price that every request can pay."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

PRECISION = 1.0


class Deadlines:
    """Ends what takes too long, up to ``PRECISION`` seconds late. For use in one event loop.

    ``asyncio.timeout`` would be exact. It sets and clears a timer of the loop each time, which under load was a quarter
    of what this host costs a request; here one timer looks at everything under way.
    """

    def __init__(self) -> None:
        self._under_way: set[_Deadline] = set()
        self._looking = False

    async def within(self, seconds: float, work: Awaitable[T]) -> T:
        """Await ``work``, which is cancelled when it takes longer than ``seconds``.

        Raises:
            TimeoutError: it took longer.
        """
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        deadline = _Deadline(task, loop.time() + seconds)
        self._under_way.add(deadline)
        if not self._looking:
            self._look_later(loop)
        try:
            return await work
        except asyncio.CancelledError:
            if deadline.passed:
                task.uncancel()
                raise TimeoutError from None
            raise
        finally:
            self._under_way.discard(deadline)

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._looking = True
        loop.call_later(PRECISION, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for deadline in self._under_way:
            if now > deadline.moment and not deadline.passed:
                deadline.passed = True
                deadline.task.cancel()
        if self._under_way:
            self._look_later(loop)
        else:
            self._looking = False


@dataclass(slots=True, eq=False)
class _Deadline:
    task: "asyncio.Task[object]"
    moment: float
    passed: bool = False
