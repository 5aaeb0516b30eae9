"""What the machine can tell of itself and of the processes on it, and how the commands print it."""

import argparse
import platform
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil


def processor_seconds(roots: Mapping[str, psutil.Process]) -> dict[str, float]:
    """Used so far by some process trees, by this benchmark, and ``elsewhere``: by whatever else is running."""
    seen: set[int] = set()  # the servers are this process's children: each process counts for the first tree it is in
    used = {name: _seconds(root, seen) for name, root in [*roots.items(), ("benchmark", psutil.Process())]}
    machine = psutil.cpu_times()
    busy = machine.user + machine.system + getattr(machine, "nice", 0) + getattr(machine, "steal", 0)
    return {**used, "elsewhere": busy - sum(used.values())}


def _seconds(root: psutil.Process, seen: set[int]) -> float:
    """Of a process and all its descendants, those that have ended included."""
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        if process.pid not in seen:
            seen.add(process.pid)
            try:
                total += sum(process.cpu_times()[:4])  # user, system, and the same of the children it has waited for
            except psutil.NoSuchProcess:  # since it was listed; its parent has its seconds now
                continue
    return total


def resident(root: psutil.Process) -> float:
    """MiB that the largest process of a tree holds: the server process, not the one that watches it."""
    return float(max(each.memory_info().rss for each in (root, *root.children(recursive=True))) / 2**20)


def description() -> str:
    """The machine and the Python, in a line."""
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else None
    processor = found[1] if found else platform.machine()
    memory = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{psutil.cpu_count()} cores ({processor}), {memory:.0f} GiB, {system}"


def command_line(command: str, description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python3 -m benchmarks {command}", description=description)
    parser.add_argument("--markdown", action="store_true", help="print tables as docs/benchmarks.md has them")
    return parser


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, markdown: bool) -> str:
    """The first column is words, the others are numbers."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    if markdown:
        lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    left, between, right = ("| ", " | ", " |") if markdown else ("", "  ", "")
    padded = ([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in lines)
    return "\n".join(f"{left}{between.join(cells)}{right}" for cells in padded) + "\n"


def number(value: float) -> str:
    """With about three digits: no more were measured."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def say(text: str) -> None:
    """Progress: no part of the result."""
    print(text, file=sys.stderr, flush=True)
