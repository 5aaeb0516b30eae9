"""What a cold start imports: the app beside azure.functions alone and Python alone, in fresh processes, in turns."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.machine import command_line, description, number, say, table
from local.project import ROOT

PYTHON, AZURE, APP = "Python alone", "azure.functions", "function_app"
CODE = {PYTHON: "pass", AZURE: "import azure.functions", APP: "import function_app"}
HEAVIEST = 12
IMPORT = re.compile(r"import time: +(\d+) \| +\d+ \| +(\S+)")


def main(arguments: Sequence[str]) -> None:
    parser = command_line("imports", __doc__)
    parser.add_argument("--python", nargs="+", default=[sys.executable], metavar="PATH", help="default: this one")
    parser.add_argument("--rounds", type=int, default=15, help="of which medians are taken (default: %(default)s)")
    options = parser.parse_args(arguments)
    print(description() + "\n")
    for python in options.python:
        with tempfile.TemporaryDirectory() as compiled:
            environment = _environment(compiled)
            for code in CODE.values():  # compiles everything
                _run(python, code, environment)
            took: dict[str, list[float]] = {name: [] for name in CODE}
            for _ in range(options.rounds):
                for name, code in CODE.items():
                    began = time.perf_counter()
                    _run(python, code, environment)
                    took[name].append((time.perf_counter() - began) * 1000)
            for name, each in took.items():
                say(f"  {python}: {name} {min(each):.0f} to {max(each):.0f} ms")
            heaviest = _self_times(python, environment)
        whole = {name: median(each) for name, each in took.items()}
        rows = [
            [name, number(ms), number(ms - whole[PYTHON]), "" if name == PYTHON else f"{ms / whole[AZURE]:.2f}"]
            for name, ms in whole.items()
        ]
        head = (_run(python, "import platform; print(platform.python_version())", environment).stdout.strip(), "ms")
        print(
            table(
                ["Python " + head[0], "ms", "over Python alone", "x azure.functions"], rows, markdown=options.markdown
            )
        )
        rows = [[package, number(ms)] for package, ms in heaviest]
        print(table(["heaviest packages", "own ms"], rows, markdown=options.markdown), flush=True)


def _environment(compiled: str) -> dict[str, str]:
    """As a deployed app has it: nothing of this shell's that Python would heed, and bytecode kept (in ``compiled``)."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    settings = {"DATABASE_URL": "postgresql://nowhere/", "JWT_SECRET": "no token is made while importing"}
    return {**kept, **settings, "PYTHONPYCACHEPREFIX": compiled}


def _run(python: str, code: str, environment: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    command = [python, *options, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)


def _self_times(python: str, environment: Mapping[str, str]) -> list[tuple[str, float]]:
    """Milliseconds the packages' own modules took to run, medians of five; Python slows down for the measuring."""
    runs: list[dict[str, float]] = []
    for _ in range(5):
        packages: dict[str, float] = defaultdict(float)
        for own, module in IMPORT.findall(_run(python, CODE[APP], environment, "-X", "importtime").stderr):
            packages[_package(module)] += int(own) / 1000
        runs.append(packages)
    medians = {package: median(run.get(package, 0) for run in runs) for package in runs[0]}
    return sorted(medians.items(), key=lambda item: -item[1])[:HEAVIEST]


def _package(module: str) -> str:
    first, *rest = module.split(".")
    return f"{first}.{rest[0]}" if first == "azure" and rest else first
