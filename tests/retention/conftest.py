"""Purges, run as they run in the field: each in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from local.project import ROOT

PURGE = """
import asyncio, json, sys
from shared import retention
print(json.dumps(asyncio.run(retention.purge(**json.loads(sys.argv[1])))))
"""

Purged = dict[str, int]


@pytest.fixture
def begin_purge(environment: dict[str, str]) -> Callable[..., Callable[[], Purged]]:
    """Begins a purge; what it gives waits for the end and tells how many rows went."""

    def begin(**limits: Any) -> Callable[[], Purged]:
        process = subprocess.Popen(
            [sys.executable, "-c", PURGE, json.dumps(limits)],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            text=True,
        )

        def finish() -> Purged:
            output, _ = process.communicate(timeout=60)
            assert process.returncode == 0
            purged: Purged = json.loads(output)
            return purged

        return finish

    return begin


@pytest.fixture
def purge(begin_purge: Callable[..., Callable[[], Purged]]) -> Callable[..., Purged]:
    """Purges, and tells how many rows went."""
    return lambda **limits: begin_purge(**limits)()
