"""The project's own Python environment, ``.venv``: made once, kept in step with the requirement files.

Standard library only: this runs on the system's Python, before anything is installed.
"""

import hashlib
import os
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from local.project import ROOT, Refusal

USAGE = """\
usage: python3 -m local COMMAND ...

  start    serve the app, on an embedded PostgreSQL unless DATABASE_URL is set
           [--port 7071] [--data .local] [--workers N] [--reload] [--access-log]
  test     run the tests; the arguments are pytest's
  check    run the linters and the type checker
  migrate  bring the database to the newest schema [--data .local] [--down]
  admin    make an account an administrator: admin EMAIL [--data .local]
  audit-verify
           look whether the audit log was touched
           [--data .local] [--heads FILE] [--against FILE] [--anchor DIGEST]
"""

SERVING = Path("local/requirements.txt")
TESTING = Path("tests/requirements.txt")
COMMANDS = {
    "start": ("local.start", SERVING),
    "test": ("pytest", TESTING),
    "check": ("local.check", TESTING),
    "migrate": ("local.migrate", SERVING),
    "admin": ("local.admin", SERVING),
    "audit-verify": ("local.audit_verify", SERVING),
}
NEWEST_TRIED = (3, 13)


def main(arguments: Sequence[str]) -> int:
    """Run a command in the project's environment, which is made or brought up to date first.

    On POSIX a command that can be run takes this process over, and this function does not return.
    """
    if not arguments or arguments[0] not in COMMANDS:
        asked = bool(arguments) and arguments[0] in ("-h", "--help", "help")
        print(USAGE, end="", file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    module, requirements = COMMANDS[arguments[0]]
    if sys.platform == "win32" and requirements is SERVING:
        # asyncio's loop there is one that psycopg refuses, and processes cannot share a socket
        print("On Windows the local host runs in WSL: start this command there.", file=sys.stderr)
        return 1
    try:
        python = Environment(ROOT).ready_for(requirements)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    os.chdir(ROOT)
    return _become([str(python), "-m", module, *arguments[1:]])


class Environment:
    """The virtual environment of the project at ``root``, and what is known to be installed in it.

    Three files in it tell its state. ``jobtrail-installed`` lists the digests of the requirements that are in
    place; it is deleted before an installation and written after it. ``jobtrail-installing`` exists while pip
    runs: found at the start, it means that pip was killed half-way, and the environment is made anew.
    ``pyvenv.cfg`` names the Python it belongs to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.directory = root / ".venv"
        self.python = self.directory / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        self._installed = self.directory / "jobtrail-installed"
        self._installing = self.directory / "jobtrail-installing"

    def ready_for(self, requirements: Path) -> Path:
        """The environment's Python, once everything in ``requirements`` is installed.

        Raises:
            Refusal: the environment could not be made, or pip could not install; the message says which.
        """
        if not self.fits(requirements):
            with self._alone():
                if not self.fits(requirements):  # another process may have installed it while this one waited
                    self._make(requirements)
        return self.python

    def fits(self, requirements: Path) -> bool:
        """Whether ``requirements``, as they read now, are installed for this Python."""
        if not self._usable():
            return False
        try:
            installed = self._installed.read_text().split()
        except OSError:
            return False
        return self.digest(requirements) in installed

    def digest(self, requirements: Path) -> str:
        """A digest of a requirement file, the files it includes, and the Python version."""
        content = hashlib.sha256(_version(sys.version_info).encode())
        for file in self._with_included(requirements):
            content.update(b"\0" + (self.root / file).read_bytes())
        return content.hexdigest()

    def _with_included(self, requirements: Path) -> list[Path]:
        files = [requirements]
        for line in (self.root / requirements).read_text().splitlines():
            if line.startswith("-r "):
                included = os.path.normpath(requirements.parent / line.removeprefix("-r ").strip())
                files += self._with_included(Path(included))
        return files

    def _usable(self) -> bool:
        """Whether there is an environment, with a Python that can be run and is of this one's version."""
        try:
            lines = (self.directory / "pyvenv.cfg").read_text().splitlines()
        except OSError:
            return False
        settings = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
        made_for = settings.get("version", "").split(".")
        return os.access(self.python, os.X_OK) and made_for[:2] == _version(sys.version_info).split(".")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keeps other processes from installing at the same time. The lock dies with its holder."""
        try:
            import fcntl
        except ImportError:  # Windows
            yield
            return
        # The root itself is locked: a file in .venv would go when that is made anew, one beside it would stay.
        handle = os.open(self.root, os.O_RDONLY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _say("Another process is preparing .venv: waiting for it ...")
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _make(self, requirements: Path) -> None:
        started = time.monotonic()
        if not self._usable() or self._installing.exists():
            _say(f"Making .venv for Python {_version(sys.version_info)} (once) ...")
            venv = [sys.executable, "-m", "venv", "--clear", str(self.directory)]
            made = subprocess.run(venv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if made.returncode:
                _say(*_last_lines(made.stdout.splitlines(), 5))
                raise Refusal(
                    f"Python's venv module could not make {self.directory}. "
                    "On Debian and Ubuntu it is the package python3-venv; elsewhere look at the lines above."
                )
        self._install(requirements)
        _say(f"Everything needed is installed ({time.monotonic() - started:.0f} s).")

    def _install(self, requirements: Path) -> None:
        _say(f"Installing {requirements.as_posix()} ...")
        self._installed.unlink(missing_ok=True)
        self._installing.touch()
        status, output = self._pip(requirements)
        self._installing.unlink()  # pip has ended by itself, and undone what it could not finish
        if status:
            _say(*_last_lines(output, 8))
            refusal = f"pip could not install {requirements.as_posix()} into {self.directory}: see the lines above."
            if sys.version_info[:2] > NEWEST_TRIED:
                refusal += (
                    f"\nThis is Python {_version(sys.version_info)}; Jobtrail is tried on 3.11 to "
                    f"{_version(NEWEST_TRIED)}, and not every package may be out for yours."
                )
            raise Refusal(refusal)
        digests = [self.digest(file) for file in self._with_included(requirements)]
        self._installed.write_text("\n".join(digests) + "\n")

    def _pip(self, requirements: Path) -> tuple[int, Sequence[str]]:
        """Run pip, showing one word per package. Returns its exit status and the end of its output."""
        command = [str(self.python), "-m", "pip", "install", "--requirement", str(self.root / requirements)]
        command += ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
        output: deque[str] = deque(maxlen=40)
        packages = 0
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as pip:
            assert pip.stdout is not None
            for line in pip.stdout:
                output.append(line.rstrip())
                if package := re.match(r"(?:Collecting |Processing (?:\S*/)?)([\w.-]+?)(?:[^\w.-]|-\d)", line):
                    packages += 1
                    _progress(f"  {packages:3}  {package[1]}")
                elif line.startswith("Installing collected packages"):
                    _progress(f"  {packages:3}  packages collected; putting them in place ...")
        _progress_ends()
        return pip.returncode, output


def _become(command: list[str]) -> int:
    if sys.platform == "win32":
        return subprocess.call(command)  # there, execv gives the prompt back before the command has ended
    sys.stdout.flush()
    return os.execv(command[0], command)  # noqa: S606 - a shell is what it must not pass through


def _version(version: Sequence[object]) -> str:
    return f"{version[0]}.{version[1]}"


def _last_lines(output: Sequence[str], count: int) -> list[str]:
    lines = [line for line in output if line.strip() and not line.startswith("WARNING: ")]
    return [f"  {line}" for line in lines[-count:]]


def _say(*lines: str) -> None:
    for line in lines:
        print(line, flush=True)


def _progress(line: str) -> None:
    """One line that is written over in a terminal; a line of its own in a file."""
    if sys.stdout.isatty():
        print(f"\r\x1b[K{line[:78]}", end="", flush=True)
    else:
        print(line, flush=True)


def _progress_ends() -> None:
    if sys.stdout.isatty():
        print("\r\x1b[K", end="", flush=True)
