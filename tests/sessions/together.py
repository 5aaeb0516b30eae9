"""Several at the same moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def at_once(*work: Callable[[], Result]) -> list[Result]:
    """Do all of it at the same moment, each in a thread of its own; what came of it, in the same order."""
    gate = threading.Barrier(len(work))

    def begin(one: Callable[[], Result]) -> Result:
        gate.wait(30)
        return one()

    with ThreadPoolExecutor(len(work)) as threads:
        return list(threads.map(begin, work))
