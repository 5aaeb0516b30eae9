"""Requests of every kind to the app and to the limit, in turns: how many, how fast, and at what cost."""

import json
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from os import cpu_count
from statistics import median
from typing import Any

from benchmarks import servers, workloads
from benchmarks.machine import command_line, description, number, processor_seconds, resident, say, table
from benchmarks.servers import PASSWORD, Program, Through, User
from benchmarks.workloads import MIXES, WORKLOADS
from local.project import ROOT
from shared.security import passwords

PAIRS = ("per s", "p50 ms", "p99 ms", "server µs", "PostgreSQL µs")
HEAD = ("x limit", *(head for name in PAIRS for head in (name, "limit")), "elsewhere")
WARM_UP = 0.5  # seconds
QUIET = 0.15
"""Cores that other programs may use during a pair of runs. One that is disturbed is run again ..."""
PATIENCE = 4
"""... until there are as many undisturbed ones as rounds, or so many times as many in all: then the quietest count."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one load showed. Processor time is in microseconds a request, ``elsewhere`` in cores."""

    rate: float
    p50: float
    p99: float
    server: float
    postgres: float
    elsewhere: float


def main(arguments: Sequence[str]) -> None:
    parser = command_line("requests", __doc__)
    servers.add_database(parser)
    parser.add_argument("--through", choices=("host", "worker", "both"), default="both")
    parser.add_argument("--limit", choices=("psycopg", "libpq"), default="psycopg", help="how it reaches PostgreSQL")
    parser.add_argument("--seconds", type=float, default=5, help="of each run (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of which medians are taken (default: %(default)s)")
    parser.add_argument("--callers", type=int, default=16, help="at once (default: %(default)s)")
    parser.add_argument("--workloads", default=",".join(MIXES), help="default: %(default)s")
    options = parser.parse_args(arguments)
    mixes = options.workloads.split(",")
    if unknown := set(mixes) - set(MIXES):
        parser.error(f"no such workload: {', '.join(unknown)}")
    throughs: list[Through] = ["host", "worker"] if options.through == "both" else [options.through]
    if "worker" in throughs and find_spec("azure_functions_runtime") is None:
        parser.error("the worker runtime needs Python 3.13: take that, or --through host")
    with ExitStack() as stack:
        server = stack.enter_context(servers.postgresql(options.database))
        databases = {name: stack.enter_context(servers.database(server, name)) for name in ("ours", "limit")}
        print(f"{description()}, PostgreSQL {databases['ours'].ask('SHOW server_version')}")
        print(f"{options.callers} callers, medians of {options.rounds} runs of {options.seconds:g} s")
        print(f"The limit reaches PostgreSQL by {options.limit}\n")
        print(_client_alone(options))
        if "login" in mixes:
            print(f"argon2id alone, on all cores: {_hashes(options.seconds):.0f} verifications/s\n")
        for through in throughs:
            with ExitStack() as running:
                ours, limit = (
                    running.enter_context(servers.serving(name, database, through, LIMIT_DRIVER=options.limit))
                    for name, database in databases.items()
                )
                before = [resident(program.process) for program in (ours, limit)]
                rows = [_compared(mix, ours, limit, options) for mix in mixes]
                after = [resident(program.process) for program in (ours, limit)]
            print(table([f"through the {through}", *HEAD], rows, markdown=options.markdown))
            print(
                f"MiB before and after: ours {before[0]:.0f}, {after[0]:.0f}; limit {before[1]:.0f}, {after[1]:.0f}\n"
            )
            sys.stdout.flush()


def _compared(mix: str, ours: Program, limit: Program, options: Namespace) -> list[str]:
    """A line of the table: both programs in turns, and in turns who begins."""
    programs = [ours, limit]
    readers = {p.name: [p.sign_in(n) for n in range(1, workloads.READERS + 1)] for p in programs}
    for name in MIXES[mix]:
        shapes = [workloads.check(p, WORKLOADS[name], readers[p.name][0]) for p in programs]
        if shapes[0] != shapes[1]:
            raise SystemExit(f"{name}: ours answers {shapes[0]}, the limit {shapes[1]}")
    for program in programs:
        _run(program, mix, readers[program.name], WARM_UP, options.callers)
    pairs: list[tuple[Run, Run]] = []
    while sum(_disturbed(pair) < QUIET for pair in pairs) < options.rounds and len(pairs) < options.rounds * PATIENCE:
        runs = {}
        for program in programs[:: -1 if len(pairs) % 2 else 1]:
            runs[program.name] = _run(program, mix, readers[program.name], options.seconds, options.callers)
            say(f"  {mix}, {program.name}: {runs[program.name]}")
        pairs.append((runs["ours"], runs["limit"]))
    pairs = sorted(pairs, key=_disturbed)[: options.rounds]

    def medians(field: str) -> list[str]:
        return [number(median(getattr(run, field) for run in runs)) for runs in zip(*pairs, strict=True)]

    ratio = median(least.rate / own.rate for own, least in pairs)
    costs = [cell for field in ("rate", "p50", "p99", "server", "postgres") for cell in medians(field)]
    return [mix, f"{ratio:.2f}", *costs, f"{_disturbed(pairs[-1]):.2f}"]


def _disturbed(pair: tuple[Run, Run]) -> float:
    return max(run.elsewhere for run in pair)


def _run(program: Program, mix: str, readers: Sequence[User], seconds: float, callers: int) -> Run:
    """Load a program, and see that all it answered was done.

    Raises:
        SystemExit: something was not.
    """
    kinds = workloads.kinds(program, MIXES[mix], callers, readers)
    done = {name: workloads.done(program, WORKLOADS[name]) for name in MIXES[mix]}
    postmaster = program.database.postmaster()
    roots = {"server": program.process} | ({"postgres": postmaster} if postmaster else {})
    before = processor_seconds(roots)
    seen = ask(program.port, kinds, seconds, callers)
    spent = {name: after - before[name] for name, after in processor_seconds(roots).items()}
    for name, answers in seen["answers"].items():
        if WORKLOADS[name].done and workloads.done(program, WORKLOADS[name]) - done[name] != answers:
            raise SystemExit(f"{program.name}: {answers} answers to {name}, but not as many were done")
    micro = 1e6 / sum(seen["answers"].values())
    postgres = spent.get("postgres", float("nan")) * micro
    return Run(
        seen["rate"],
        seen["p50"],
        seen["p99"],
        spent["server"] * micro,
        postgres,
        max(0.0, spent["elsewhere"]) / seconds,
    )


def ask(port: int, kinds: Sequence[Any], seconds: float, callers: int) -> dict[str, Any]:
    """Let a client ask, and return what it saw.

    Raises:
        SystemExit: an answer was not what it should be.
    """
    spec = json.dumps({"port": port, "callers": callers, "seconds": seconds, "kinds": kinds})
    command = [sys.executable, "-m", "benchmarks.client"]
    client = subprocess.run(command, cwd=ROOT, input=spec, stdout=subprocess.PIPE, text=True, check=True)
    seen: dict[str, Any] = json.loads(client.stdout)
    if seen["wrong"]:
        raise SystemExit(f"wrong answers: {seen['wrong']}")
    return seen


def _client_alone(options: Namespace) -> str:
    with servers.listening("uvicorn", "benchmarks.client:nothing", *servers.UVICORN, settings={}) as (port, _):
        text = WORKLOADS["health"].text(User(""), port)
        kind = {"name": "nothing", "share": 1, "status": 200, "requests": [text], "tokens": []}
        seen = ask(port, [kind], options.seconds, options.callers)
    cost = seen["processor"] / seen["answers"]["nothing"] * 1e6
    return f"The client alone, against an application that does nothing: {seen['rate']:,.0f}/s, {cost:.0f} µs each"


def _hashes(seconds: float) -> float:
    """Password verifications a second, with nothing around them and on every core at once."""
    stored = passwords.HASHER.hash(PASSWORD)
    end = time.monotonic() + seconds

    def verify(_core: int) -> int:
        count = 0
        while time.monotonic() < end:
            count += passwords.HASHER.verify(stored, PASSWORD)
        return count

    cores = cpu_count() or 1
    with ThreadPoolExecutor(cores) as threads:
        return sum(threads.map(verify, range(cores))) / seconds
