"""The app in a process of its own: for settings that differ, and for what happens when a process dies."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from local.project import ROOT


class AppProcess:
    """One server process, as ``python3 -m local start`` runs them, without the launcher around it."""

    def __init__(self, settings: dict[str, str], log: Path) -> None:
        self.log = log
        self._launcher, theirs = socket.socketpair()
        with socket.create_server(("127.0.0.1", 0)) as listener, theirs, log.open("w") as output:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            self.process = subprocess.Popen(
                [sys.executable, "-m", "local.serve", str(listener.fileno()), str(theirs.fileno())],
                cwd=ROOT,
                env={**os.environ, **settings},
                pass_fds=(listener.fileno(), theirs.fileno()),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._launcher.settimeout(30)
        if self._launcher.recv(16) != b"ready":
            raise RuntimeError(f"the app did not start: {log.read_text()}")

    def kill(self) -> None:
        """End it as a crash would: at once, with nothing tidied up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        self._launcher.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def eventually(holds: Callable[[], bool], *, within: float = 10) -> None:
    """Wait until it holds, or fail."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
