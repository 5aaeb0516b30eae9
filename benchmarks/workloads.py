"""What callers ask, the same of every program, and how to tell that it was really done."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, LiteralString

from benchmarks.client import TOKEN
from benchmarks.servers import PASSWORD, USERS, Program, User

READERS = 32
"""Users who are signed in throughout and ask in turn."""

APPLICATION = {
    "company": ...,
    "position": "Senior backend engineer",
    "location": "Berlin, Germany (hybrid)",
    "url": ...,
    "status": "applied",
    "salary_min": 7_000_000,
    "salary_max": 9_000_000,
    "salary_currency": "EUR",
    "salary_period": "year",
    "applied_on": "2026-05-04",
    "notes": "The recruiter's call went well; send the portfolio and two references before Friday. " * 2,
}


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of request. In its body ``...`` stands for what is the user's own."""

    name: str
    method: str
    path: str
    body: Mapping[str, Any] | None = None
    status: int = 200
    done: LiteralString | None = None
    """A statement that counts what these requests did: each must make it grow by one."""

    def content(self, user: User) -> str:
        if self.body is None:
            return ""
        number = token_hex(4)  # applications to one company, at one address, would be told to be duplicates
        own = {"email": user.email, "password": PASSWORD, "refresh_token": user.refresh_token}
        own |= {"company": f"Analytical Engines {number} Ltd", "url": f"https://jobs.example.com/openings/{number}"}
        return json.dumps({name: own[name] if value is ... else value for name, value in self.body.items()})

    def text(self, user: User, port: int) -> str:
        """The request as it goes over the wire."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "User-Agent: benchmarks"]
        if user.access_token:
            lines.append(f"Authorization: Bearer {user.access_token}")
        if content := self.content(user):
            lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        return "\r\n".join([*lines, "", content])


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("health", "GET", "/health"),
        Workload("profile", "GET", "/api/profile"),
        Workload("list", "GET", "/api/applications?limit=20"),
        Workload(
            "refresh",
            "POST",
            "/api/auth/refresh",
            {"refresh_token": ...},
            done="SELECT sum(generation)::bigint - count(*) FROM sessions",
        ),
        Workload("create", "POST", "/api/applications", APPLICATION, 201, "SELECT count(*) FROM applications"),
        Workload(
            "login",
            "POST",
            "/api/auth/login",
            {"email": ..., "password": ...},
            done="SELECT count(*) FROM sessions",
        ),
    )
}
MIXES: Mapping[str, Mapping[str, int]] = {
    **{name: {name: 1} for name in WORKLOADS},
    "mixed": {"list": 50, "profile": 30, "refresh": 10, "create": 10},
}
"""What the callers of a run ask, and how often."""

VARIETY = {"create": 100}
"""How many different ones each user sends; else one."""


def check(program: Program, workload: Workload, user: User) -> Any:
    """Ask once and see that it is really done. Returns what the answer consists of, whatever its values.

    Raises:
        SystemExit: it was not done, or not answered as it should be.
    """
    before = done(program, workload)
    status, answer = program.call(workload.method, workload.path, workload.content(user), user.access_token)
    grown = done(program, workload) - before
    if status != workload.status or grown != (workload.done is not None):
        raise SystemExit(f"{program.name}: {workload.name} did {grown} and was answered {status}: {answer}")
    return _shape(answer)


def done(program: Program, workload: Workload) -> int:
    return int(program.database.ask(workload.done)) if workload.done else 0


def _shape(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {name: _shape(value) for name, value in answer.items()}
    return [_shape(value) for value in answer] if isinstance(answer, list) else answer is not None


def kinds(program: Program, mix: Mapping[str, int], callers: int, readers: Sequence[User]) -> list[dict[str, Any]]:
    """The requests of a run, as the client wants them."""
    found = []
    for name, share in mix.items():
        users, tokens = readers, []
        if name == "login":
            users = [User.number(n) for n in range(1, USERS + 1)]
        elif name == "refresh":  # sessions for this run alone: one for each caller, and one to spare
            tokens = [program.sign_in(READERS + n).refresh_token for n in range(1, callers + 2)]
            users = [User("", "", tokens[0])]
        workload = WORKLOADS[name]
        texts = [workload.text(user, program.port) for user in users for _ in range(VARIETY.get(name, 1))]
        if tokens:
            texts = [text.replace(tokens[0], TOKEN) for text in texts]
        found.append({"name": name, "share": share, "status": workload.status, "requests": texts, "tokens": tokens})
    return found
