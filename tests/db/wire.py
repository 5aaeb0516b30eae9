"""A stretch of network between the app and PostgreSQL: it counts round trips, and can fail as networks do."""

import asyncio
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

ASKING = frozenset(b"QSHF")
"""Messages of the frontend that it expects an answer to: Query, Sync, Flush, FunctionCall."""

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


class Wire:
    """A proxy on a free port of 127.0.0.1, without TLS, so that what passes can be read."""

    def __init__(self, url: str) -> None:
        self._target = conninfo_to_dict(url)
        self._is_silent = False
        self._breaks_at_answer = False
        self.port = 0
        self.connections = 0
        """How many the app has opened."""
        self.round_trips = 0
        """How many questions went to the server, those of opening a connection aside."""

    @property
    def url(self) -> str:
        """The database as it is reached by way of the proxy."""
        user, password = (quote(str(self._target.get(part, "")), safe="") for part in ("user", "password"))
        who = f"{user}:{password}" if password else user
        return f"postgresql://{who}@127.0.0.1:{self.port}/{self._target['dbname']}?sslmode=disable&gssencmode=disable"

    def fall_silent(self) -> None:
        """From now on take whatever comes, also new connections, and never answer: a black hole."""
        self._is_silent = True

    def break_at_the_next_answer(self) -> None:
        """Bring one more question to the server, and hang up on both sides when its answer comes."""
        self._breaks_at_answer = True

    def recover(self) -> None:
        """Carry again what comes from now on. What was swallowed stays so."""
        self._is_silent = False

    async def serve(self, ready: threading.Event) -> None:
        """Carry connections until ``stop()``."""
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._end.wait()
        server.close()

    def stop(self) -> None:
        """Hang up on both sides."""
        self._loop.call_soon_threadsafe(self._end.set)

    async def _carry(self, app_reader: Reader, app_writer: Writer) -> None:
        self.connections += 1
        with suppress(OSError):
            server_reader, server_writer = await self._connect()
            await asyncio.gather(
                self._pass_on(app_reader, server_writer, Questions()), self._pass_on(server_reader, app_writer)
            )

    async def _connect(self) -> tuple[Reader, Writer]:
        host, port = str(self._target["host"]), int(self._target.get("port") or 5432)
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def _pass_on(self, reader: Reader, writer: Writer, questions: "Questions | None" = None) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if questions is not None:
                    self.round_trips += questions.count(data)
                elif self._breaks_at_answer:
                    self._breaks_at_answer = False
                    break
                if not self._is_silent:
                    writer.write(data)
                    await writer.drain()
        writer.close()


class Questions:
    """Finds the questions in what a client sends: frames of a type, a length and a body; the first has no type."""

    def __init__(self) -> None:
        self._rest = b""
        self._has_begun = False

    def count(self, data: bytes) -> int:
        self._rest += data
        found = 0
        while len(self._rest) >= 5:
            head = 1 if self._has_begun else 0
            (length,) = struct.unpack_from("!i", self._rest, head)
            if len(self._rest) < head + length:
                break
            found += self._has_begun and self._rest[0] in ASKING
            self._has_begun = True
            self._rest = self._rest[head + length :]
        return found


@contextmanager
def wire_to(url: str) -> Iterator[Wire]:
    """A wire to the database at ``url``, in a thread of its own."""
    wire, ready = Wire(url), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(wire.serve(ready)))
    thread.start()
    assert ready.wait(10)
    try:
        yield wire
    finally:
        wire.stop()
        thread.join()
