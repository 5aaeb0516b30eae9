"""Callers that ask again as soon as they are answered, each on a connection that stays open.

A process of its own: it reads what to ask as JSON and writes what it saw as JSON. On bare sockets, since a microsecond
spent here is one the server cannot have.
"""

import json
import random
import re
import select
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import Any

TOKEN = "{refresh token}"
NEXT_TOKEN = re.compile(rb'"refresh_token": ?"([^"]+)"')
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Kind:
    """One kind of request: the texts to send in turn, and refresh tokens of which each is used once."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.name: str = spec["name"]
        self.share: int = spec["share"]
        self.status = str(spec["status"]).encode()
        self._requests: Iterator[bytes] = cycle([text.encode() for text in spec["requests"]])
        self._tokens: deque[bytes] = deque(token.encode() for token in spec["tokens"])
        self._rotates = bool(self._tokens)

    def next(self) -> bytes:
        request = next(self._requests)
        return request.replace(TOKEN.encode(), self._tokens.popleft()) if self._rotates else request

    def is_answered_by(self, answer: bytes) -> bool:
        """Whether the status is the right one. A new refresh token is kept for a later request."""
        if self._rotates and (found := NEXT_TOKEN.search(answer)):
            self._tokens.append(found[1])
        return answer[9:12] == self.status


class Caller:
    """A connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.kind: Kind
        self.asked_at = 0.0
        self._heard = b""

    def ask(self, kind: Kind) -> None:
        self.kind = kind
        request = kind.next()
        self.asked_at = time.perf_counter()
        self.socket.sendall(request)

    def hear(self) -> bytes | None:
        """The answer, once all of it is here."""
        some = self.socket.recv(65536)
        if not some:
            raise ConnectionError(f"the server hung up in the middle of a {self.kind.name}")
        self._heard += some
        head = self._heard.find(b"\r\n\r\n")
        length = LENGTH.search(self._heard, 0, head) if head > 0 else None
        if length is None or len(self._heard) < head + 4 + int(length[1]):
            return None
        answer, self._heard = self._heard, b""
        return answer


def load(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Ask for so many seconds, then wait for what is under way: every request is answered in the end."""
    kinds = [Kind(kind) for kind in spec["kinds"]]
    # Drawn beforehand, and the same ones each time.
    drawn = cycle(random.Random(1).choices(kinds, [kind.share for kind in kinds], k=10_007))
    callers = {caller.socket.fileno(): caller for caller in (Caller(spec["port"]) for _ in range(spec["callers"]))}
    poll = select.poll()
    for descriptor in callers:
        poll.register(descriptor, select.POLLIN)
    took: list[float] = []
    answers, wrong = Counter[str](), Counter[str]()
    in_time = 0
    processor = time.process_time()
    end = time.perf_counter() + spec["seconds"]
    for caller in callers.values():
        caller.ask(next(drawn))
    busy = len(callers)
    while busy:
        for descriptor, _ in poll.poll():
            caller = callers[descriptor]
            answer = caller.hear()
            if answer is None:
                continue
            now = time.perf_counter()
            took.append(now - caller.asked_at)
            answers[caller.kind.name] += 1
            if not caller.kind.is_answered_by(answer):
                wrong[f"{caller.kind.name}: {answer[9:12].decode()}"] += 1
            if now < end:
                in_time += 1
                caller.ask(next(drawn))
            else:
                busy -= 1
    took.sort()
    return {
        "answers": answers,
        "wrong": wrong,
        "rate": in_time / spec["seconds"],
        "p50": took[len(took) // 2] * 1000,
        "p99": took[len(took) * 99 // 100] * 1000,
        "processor": time.process_time() - processor,
    }


async def nothing(_scope: Any, _receive: Any, send: Any) -> None:
    """An ASGI application that does as little as one can: the client's own limit shows against it."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


if __name__ == "__main__":
    json.dump(load(json.load(sys.stdin)), sys.stdout)
