"""The memory of one server process under load of every kind, logins among it: at most 120 MiB, and flat."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from benchmarks import servers, workloads
from benchmarks.machine import command_line, description, resident, table
from benchmarks.requests import ask

BUDGET = 120
MIX = {"list": 45, "profile": 30, "refresh": 10, "create": 10, "login": 5}
GLANCE = 0.1  # seconds: a password hash takes 19 MiB for a few hundredths of a second


def main(arguments: Sequence[str]) -> None:
    parser = command_line("memory", __doc__)
    servers.add_database(parser)
    parser.add_argument("--through", choices=("host", "worker"), default="host")
    parser.add_argument("--seconds", type=int, default=30, help="(default: %(default)s)")
    parser.add_argument("--callers", type=int, default=32, help="at once (default: %(default)s)")
    options = parser.parse_args(arguments)
    every = max(1, options.seconds // 10)
    with ExitStack() as stack:
        server = stack.enter_context(servers.postgresql(options.database))
        database = stack.enter_context(servers.database(server, "ours"))
        program = stack.enter_context(servers.serving("ours", database, options.through))
        start = resident(program.process)
        readers = [program.sign_in(n) for n in range(1, workloads.READERS + 1)]
        kinds = workloads.kinds(program, MIX, options.callers, readers)
        client = stack.enter_context(ThreadPoolExecutor(1))
        load = client.submit(ask, program.port, kinds, options.seconds, options.callers)
        seen: list[list[float]] = []
        began = time.monotonic()
        while not load.done():
            if time.monotonic() - began >= len(seen) * every:
                seen.append([])
            seen[-1].append(resident(program.process))
            time.sleep(GLANCE)
        answers = ", ".join(f"{count} {name}" for name, count in load.result()["answers"].items())
        connections = database.ask("SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()")
    print(description())
    print(f"Through the {options.through}, {options.callers} callers, {connections} connections: {answers}\n")
    rows = [["at the start", f"{start:.1f}", f"{start:.1f}"]]
    rows += [[f"second {n * every}", f"{min(part):.1f}", f"{max(part):.1f}"] for n, part in enumerate(seen)]
    print(table(["RSS in MiB", "least", "most"], rows, markdown=options.markdown))
    most, half = max(map(max, seen)), len(seen) // 2
    growth = max(map(max, seen[half:])) - max(map(max, seen[:half]))
    print(f"At most {most:.0f} MiB of {BUDGET}; the second half's most is {growth:+.1f} MiB from the first half's.")
