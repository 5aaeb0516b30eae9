"""One server process: the app's functions behind the local host, under uvicorn. ``local.start`` runs it."""

import argparse
import logging
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from local import host
from local.project import ROOT, UNLOADABLE, Refusal, host_json, local_settings

GRACE = 3
"""Seconds a request gets to finish once the process is asked to stop."""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("listener", type=int, help="file descriptor of the listening socket")
    parser.add_argument("launcher", type=int, help="file descriptor of the socket to the launcher")
    parser.add_argument("--timers", action="store_true")
    parser.add_argument("--access-log", action="store_true")
    options = parser.parse_args()
    listener, launcher = socket.socket(fileno=options.listener), socket.socket(fileno=options.launcher)
    for inherited in (listener, launcher):
        inherited.set_inheritable(False)  # a process the app starts must not keep them open
    _configure_logging()
    try:
        app = load(keep_timers=options.timers)
    except Refusal as refusal:
        print(refusal, file=sys.stderr, flush=True)
        return UNLOADABLE
    except (Exception, SystemExit) as error:  # noqa: BLE001 - any mistake in the app's code can come up here
        print(explain(error), file=sys.stderr, flush=True)
        return UNLOADABLE
    server = Server(app, access_log=options.access_log, on_ready=lambda: launcher.sendall(b"ready"))
    threading.Thread(target=_end_with_launcher, args=(launcher, server), daemon=True).start()
    server.run(sockets=[listener])
    return 0


def load(*, keep_timers: bool = False) -> ASGIApp:
    """The project's function app as an ASGI application, its environment filled up from local.settings.json.

    Raises:
        Refusal: a file of the project cannot be read.
        Exception: whatever importing the app raises, and what ``host.build`` does.
    """
    settings = local_settings()
    for name, value in settings.values.items():
        os.environ.setdefault(name, value)
    from function_app import app

    return host.build(app.get_functions(), host=host_json(), settings=settings, keep_timers=keep_timers)


def explain(error: BaseException) -> str:
    """Why the app could not be loaded, and at which line of the project, without a traceback."""
    if isinstance(error, SyntaxError) and error.filename:
        places = [(error.filename, error.lineno)]
    else:
        places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = ""
    for file, line in places:
        if Path(file).is_relative_to(ROOT):
            path = Path(file).relative_to(ROOT)
            if path.parts[0] not in (".venv", "local"):
                own = f" ({path}, line {line})"
    return f"function_app.py could not be loaded{own}:\n{type(error).__name__}: {error}"


class Server(uvicorn.Server):
    """uvicorn as the Functions host would be configured, which says when it begins to serve."""

    def __init__(self, app: ASGIApp, *, on_ready: Callable[[], object], access_log: bool = False) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=access_log,
                proxy_headers=False,  # Client-IP is the peer's address, whatever X-Forwarded-For says
                server_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=GRACE,
            )
        )
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()


@contextmanager
def in_thread(app: ASGIApp) -> Iterator[str]:
    """Serve ``app`` from a thread on a free port of 127.0.0.1; gives its URL. For tests and benchmarks."""
    ready = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(app, on_ready=ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not ready.wait(0.05):
                if not thread.is_alive():
                    raise RuntimeError("the application did not start")
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def _configure_logging() -> None:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("azure").setLevel(logging.WARNING)


def _end_with_launcher(launcher: socket.socket, server: Server) -> None:
    """Wait until the launcher is gone, killed perhaps, and end too: politely first."""
    launcher.recv(1)
    server.should_exit = True
    time.sleep(GRACE + 2)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
