"""``python3 -m local check``: every linter in turn, and which of them found something."""

import subprocess
import sys
from pathlib import Path

from local.project import ROOT

SOURCES = ("function_app.py", "shared", "local", "tests", "benchmarks")


def main() -> int:
    python = [sys.executable, "-m"]
    sources = [source for source in SOURCES if (ROOT / source).exists()]
    checks = {
        "ruff check": [*python, "ruff", "check", "."],
        "ruff format": [*python, "ruff", "format", "--check", "."],
        "mypy": [*python, "mypy", "--strict", *sources],
        "import-linter": [str(Path(sys.executable).with_name("lint-imports")), "--no-logo"],
    }
    failed = False
    for name, command in checks.items():
        print(f"== {name}", flush=True)
        status = subprocess.call(command, cwd=ROOT)
        print(f"== {name}: {'failed' if status else 'clean'}\n", flush=True)
        failed = failed or status != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
