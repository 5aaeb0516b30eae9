"""The Functions host's part, played inside Microsoft's worker runtime; prints what the worker answered, as JSON.

``test_worker.py`` starts this on Python 3.13, in an environment that has the app's requirements and the runtime only.
What a function returns is encoded down to the messages that go to the host, with stand-ins for protobuf's classes.
"""

import asyncio
import json
import secrets
import sys
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from azure_functions_runtime import handle_event, start_threadpool_executor  # noqa: E402
from azure_functions_runtime.bindings.datumdef import Datum, datum_as_proto  # noqa: E402
from azure_functions_runtime.bindings.meta import load_binding_registry  # noqa: E402
from azure_functions_runtime.native_invocation import invocation_request_native  # noqa: E402

from local.routes import Entry, Table, Template, decode_path  # noqa: E402

PASSWORD = "correct horse battery staple"
ORIGIN = "https://app.example.com"


class Message:
    """A protobuf message: it keeps what it is made of."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class BindingInfo(Message):
    """The message, with the constants that the runtime reads from its class."""

    out, inout, undefined = 1, 2, 0


setattr(BindingInfo, "in", 0)


class Cookie(Message):
    class SameSite:
        Lax, Strict, ExplicitNone = "Lax", "Strict", "None"


setattr(Cookie.SameSite, "None", "unset")


class Protocol:
    """What the runtime finds in the host's generated protobuf module."""

    BindingInfo = BindingInfo
    RpcHttpCookie = Cookie
    RpcFunctionMetadata = RpcRetryOptions = TypedData = RpcHttp = Message
    NullableString = NullableBool = NullableDouble = NullableTimestamp = Message


class Worker:
    """The worker with the app loaded in it, and the host's route table in front of it."""

    def __init__(self) -> None:
        start_threadpool_executor()
        handle_event.protos = Protocol
        load_binding_registry()
        self.functions = handle_event.index_functions(str(ROOT / "function_app.py"), str(ROOT))
        self.ids = {function.name: function.function_id for function in self.functions}
        self._numbers = count(1)
        self._routes = Table(self._entries())

    def _entries(self) -> list[Entry[str]]:
        entries = []
        for function in self.functions:
            trigger = json.loads(function.raw_bindings[0])
            if trigger["type"] == "httpTrigger":
                methods = frozenset(trigger["methods"])
                entries.append(Entry(function.name, methods, Template(trigger["route"]), function.name))
        return entries

    async def request(
        self, method: str, url: str, body: bytes | dict[str, Any] = b"", headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """One HTTP request by way of the route table, and its answer as the host receives it."""
        parts = urlsplit(url)
        found = self._routes.match(method, decode_path(parts.path.encode()))
        assert found, "the catch-all takes every path"
        name, route_params = found
        if isinstance(body, dict):
            body, headers = json.dumps(body).encode(), {"content-type": "application/json"} | (headers or {})
        datum = Datum(
            {
                "method": Datum(method, "string"),
                "url": Datum(f"https://api.example.com{url}", "string"),
                "headers": _strings({"x-forwarded-for": "203.0.113.7:4711"} | (headers or {})),
                "params": _strings(route_params),
                "query": _strings(dict(parse_qsl(parts.query))),
                "body": Datum(body, "bytes"),
            },
            "http",
        )
        ok, answer, error = await self._invoke(name, "req", datum)
        if not ok:
            return {"function": name, "error": error}
        http = datum_as_proto(answer, Protocol).http
        return {
            "function": name,
            "status": int(http.status_code),
            "headers": {key.lower(): value for key, value in http.headers.items()},
            "cookies": [_fields(cookie) for cookie in http.cookies or ()],
            "body": http.body.bytes.decode(),
        }

    async def fire(self, name: str) -> dict[str, Any]:
        """One run of a timer function."""
        timer = Datum('{"Schedule": {"AdjustForDST": true}, "IsPastDue": false}', "json")
        ok, answer, error = await self._invoke(name, "timer", timer)
        return {"ok": ok, "answer": answer, "error": error}

    async def _invoke(self, name: str, parameter: str, datum: Datum) -> tuple[bool, Any, str | None]:
        number = next(self._numbers)
        ok, answer, outputs, error, _ = await invocation_request_native(
            f"invocation-{number}", self.ids[name], [(parameter, datum)], {}
        )
        assert not outputs, "the app has no output bindings"
        return ok, answer, error


def _strings(values: Any) -> dict[str, Datum]:
    return {name: Datum(value, "string") for name, value in values.items()}


def _fields(message: Any) -> Any:
    """A message as JSON; of a nullable value, the value."""
    if not isinstance(message, Message):
        return message
    values = {name: _fields(value) for name, value in vars(message).items()}
    return values.get("value") if len(values) == 1 else values


async def visit(worker: Worker) -> dict[str, Any]:
    """Somebody's visit, request by request, and the hourly timer."""
    email = f"{secrets.token_hex(8)}@example.com"
    seen: dict[str, Any] = {
        "functions": {f.name: [json.loads(binding) for binding in f.raw_bindings] for f in worker.functions},
        "register": await worker.request("POST", "/api/auth/register", {"email": email, "password": PASSWORD}),
        "login": await worker.request(
            "POST", "/api/auth/login", {"email": email, "password": PASSWORD, "transport": "cookie"}
        ),
    }
    cookie = seen["login"]["cookies"][0]
    seen["refresh"] = await worker.request(
        "POST", "/api/auth/refresh", {}, {"cookie": f"{cookie['name']}={cookie['value']}", "origin": ORIGIN}
    )
    bearer = {"authorization": f"Bearer {json.loads(seen['refresh']['body'])['access_token']}"}
    seen["profile"] = await worker.request("GET", "/api/profile", headers=bearer)
    seen["create"] = await worker.request(
        "POST", "/api/applications", {"company": "Contoso", "position": "Engineer", "status": "applied"}, bearer
    )
    place = seen["create"]["headers"]["location"]
    found, missed = "/api/applications?status=applied&q=conto%73o", "/api/applications?status=offer"
    seen["list"] = await worker.request("GET", found, headers=bearer)
    seen["empty list"] = await worker.request("GET", missed, headers=bearer)
    change = {"notes": "called"}
    tag = seen["create"]["headers"]["etag"]
    seen["change"] = await worker.request("PATCH", place, change, {**bearer, "if-match": tag})
    seen["stale change"] = await worker.request("PATCH", place, change, {**bearer, "if-match": tag})
    seen["unchanged"] = await worker.request("GET", place, headers={**bearer, "if-none-match": '"2"'})
    seen["nobody"] = await worker.request("GET", "/api/profile")
    seen["nowhere"] = await worker.request("GET", "/api/nothing")
    seen["wrong method"] = await worker.request("PUT", "/api/profile", {}, bearer)
    seen["too large"] = await worker.request(
        "POST", "/api/applications", b'"' + b"x" * 1024 * 1024 + b'"', {**bearer, "content-type": "application/json"}
    )
    seen["at once"] = await asyncio.gather(
        *(
            worker.request("POST", "/api/applications", {"company": f"Company {n}", "position": "Engineer"}, bearer)
            for n in range(50)
        )
    )
    seen["timer"] = await worker.fire("purge_expired_sessions")
    seen["logout"] = await worker.request("POST", "/api/auth/logout", {}, bearer)
    seen["signed out"] = await worker.request("GET", "/api/profile", headers=bearer)
    return seen


if __name__ == "__main__":
    output, sys.stdout = sys.stdout, sys.stderr  # what the app or the runtime may print is not the result
    json.dump(asyncio.run(visit(Worker())), output)
