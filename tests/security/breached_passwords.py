"""A server in the place of api.pwnedpasswords.com, which speaks the range protocol, well or badly, as it is told."""

import hashlib
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Behaviour = Callable[["Exchange"], None]


def split(password: str) -> tuple[str, str]:
    """The prefix that is sent and the suffix that is looked for."""
    digest = hashlib.sha1(password.encode()).hexdigest().upper()
    return digest[:5], digest[5:]


def padding(count: int) -> list[str]:
    """Lines of other passwords, as far as anybody can tell; the count 0 says that they are none."""
    return [f"{hashlib.sha1(b'%d' % number).hexdigest().upper()[5:]}:0" for number in range(count)]


@dataclass
class Exchange:
    """One request, and the connection to answer it on. ``over`` is set when the test is done with the server."""

    connection: socket.socket
    request: str
    over: threading.Event

    @property
    def path(self) -> str:
        return self.request.split(" ")[1]

    def send(self, status: str, body: bytes = b"", *headers: str, length: int | None = None) -> None:
        fields = [f"Content-Length: {len(body) if length is None else length}", "Connection: close", *headers]
        self.connection.sendall("\r\n".join([f"HTTP/1.1 {status}", *fields, "\r\n"]).encode() + body)


@dataclass
class RangeServer:
    """What was asked of it, word for word, and how it is to behave from now on."""

    url: str
    behave: Behaviour
    requests: list[str] = field(default_factory=list)


def answering(*lines: str, end: str = "\r\n") -> Behaviour:
    """A range of these lines. They are joined as the real one joins them: the last has no line end."""
    return lambda exchange: exchange.send("200 OK", end.join(lines).encode(), "Content-Type: text/plain")


@contextmanager
def serve() -> Iterator[RangeServer]:
    over = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            request = b""
            while b"\r\n\r\n" not in request:
                received = self.request.recv(65536)
                if not received:
                    return
                request += received
            told.requests.append(request.decode())
            with suppress(OSError):  # the client has had enough
                told.behave(Exchange(self.request, request.decode(), over))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        told = RangeServer(f"http://127.0.0.1:{server.server_address[1]}/range/", answering(*padding(800)))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield told
        finally:
            over.set()
            server.shutdown()
            thread.join()
