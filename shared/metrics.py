"""What this process counts of itself: one addition a request, and nothing written anywhere.

A process of a serverless app lives for hours and knows nothing of the others; who adds processes up does so by their
ids.
"""

import os
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from time import time

PROCESS_ID = os.urandom(4).hex()
STARTED_AT = time()

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds: the upper bounds of a histogram's buckets. What took longer is in one more."""


@dataclass(slots=True)
class Served:
    """How often a route was served, with which statuses, and how long that took."""

    statuses: Counter[int] = field(default_factory=Counter)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0


routes: dict[str, Served] = {}
"""By the names of their functions."""

refusals: Counter[str] = Counter()
"""By the codes of their problems."""


def served(route: str, status: int, seconds: float) -> None:
    """Count a request."""
    counted = routes.get(route)
    if counted is None:
        counted = routes[route] = Served()
    counted.statuses[status] += 1
    counted.buckets[bisect_left(BOUNDS, seconds)] += 1
    counted.seconds += seconds
