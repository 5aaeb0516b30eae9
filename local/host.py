"""The Functions host, as far as an HTTP or timer function can tell, as one ASGI application.

It stands in the path of every request that is measured, so requests are handled on the bare ASGI interface;
Starlette serves what is rare: start and stop, CORS, and ``/_local``.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote_plus, urlsplit

import azure.functions as func
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from local import functions, mailbox, timers
from local.deadlines import Deadlines
from local.functions import Function
from local.project import DATA, ROOT, HostJson, LocalSettings
from local.routes import Entry, Table, Template, decode_path

log = logging.getLogger(__name__)

# Azure's CORS exposes none of these to a page's scripts: there, a front end that reads them must be served from
# the API's own origin.
EXPOSED_HEADERS = (
    "ETag",
    "Location",
    "Retry-After",
    "RateLimit",
    "RateLimit-Policy",
    "Idempotency-Replayed",
    "X-Request-Id",
)
LONGEST_PAUSE_IN_BODY = 30.0
BODY_LIMIT = 104_857_600
BODYLESS = frozenset({204, 304})
OWN_HEADERS = frozenset({b"content-length", b"transfer-encoding", b"connection"})
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

Rendered = tuple[int, list[tuple[bytes, bytes]], bytes]
"""An answer's status, headers and body."""


def build(
    declared: Iterable[func.Function],
    *,
    host: HostJson = HostJson(),  # noqa: B008 - frozen
    settings: LocalSettings = LocalSettings(),  # noqa: B008 - frozen
    keep_timers: bool = False,
) -> ASGIApp:
    """An application that serves ``declared``, which is what ``FunctionApp.get_functions()`` gives.

    Timers run on their schedules where ``keep_timers`` is set; they can be fired by hand anywhere.

    Raises:
        TemplateError, ScheduleError: a declaration that Azure would refuse.
    """
    deadlines = Deadlines()
    known, unknown = functions.read(declared, timeout=host.function_timeout, deadlines=deadlines)
    if unknown:
        log.warning("Not run by the local host: %s", ", ".join(unknown))
    table = Table(
        Entry(f.name, _methods(f), Template(f.trigger["route"], prefix=host.route_prefix), f)
        for f in known
        if f.trigger["type"] == functions.HTTP
    )
    mail = Path(os.environ.get("MAIL_DIRECTORY") or ROOT / DATA / "mail")
    clocks = [timers.Timer(f, os.environ) for f in known if f.trigger["type"] == functions.TIMER]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        running = [asyncio.create_task(timer.keep(), name=timer.name) for timer in clocks if keep_timers]
        yield
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    application: ASGIApp = Host(
        table,
        deadlines,
        local=Starlette(routes=[*timers.routes(clocks), *mailbox.routes(mail)], lifespan=lifespan),
        custom_headers=host.custom_headers,
        body_limit=int(os.environ.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", BODY_LIMIT)),
    )
    if settings.cors:
        # Only here, so that it costs nothing where it is not configured.
        application = CORSMiddleware(
            application,
            allow_origins=settings.cors,
            allow_credentials=settings.cors_credentials,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
        )
    return application


class Host:
    """HTTP functions behind the routes that ``host.json`` and the app declare."""

    def __init__(
        self,
        table: Table[Function],
        deadlines: Deadlines,
        *,
        local: ASGIApp,
        custom_headers: Mapping[str, str],
        body_limit: int,
    ) -> None:
        self._match = table.match
        self._within = deadlines.within
        self._local = local
        self._custom_headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in custom_headers.items()
        ]
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._local(scope, receive, send)  # start and stop
            return
        path = decode_path(scope["raw_path"])
        if path.startswith("/_local/"):
            await _guarded(self._local, scope, receive, send)
            return
        found = self._match(scope["method"], path)
        if found is None:
            await _send(send, self._rendered(func.HttpResponse(status_code=404)))
            return
        function, route_params = found
        headers = _request_headers(scope)
        try:
            body = await self._body(headers, receive)
        except BodyRefused as refused:
            await self._refuse(refused.status, receive, send)
            return
        except ConnectionResetError:
            return  # nobody is left to be answered
        query = scope["query_string"].decode("latin-1")
        # ASGI's path is decoded; a function sees the URL as it was asked for, as it does in Azure.
        url = f"http://{headers.get('host', '')}{scope['raw_path'].decode('latin-1')}"
        request = func.HttpRequest(
            method=scope["method"],
            url=f"{url}?{query}" if query else url,
            headers=headers,
            params=_query(query) if query else {},
            route_params=route_params,
            body=body,
        )
        try:
            answer = await function.invoke(request)
            rendered = self._rendered(answer if isinstance(answer, func.HttpResponse) else _response(answer))
        except Exception:  # the last resort for a function's own failures; the worker has the same one
            log.exception("Function %s failed", function.name)
            rendered = self._rendered(func.HttpResponse(status_code=500))
        await _send(send, rendered)

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        """The request's body.

        Raises:
            BodyRefused: it is too long, or the client stopped sending.
            ConnectionResetError: the client has gone.
        """
        if "content-length" in headers:
            if int(headers["content-length"]) > self._body_limit:
                raise BodyRefused(413)
        elif "transfer-encoding" not in headers:
            return b""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._next_message(receive)
            parts.append(message["body"])
            size += len(message["body"])
            if size > self._body_limit:
                raise BodyRefused(413)
            if not message["more_body"]:
                return b"".join(parts)

    async def _next_message(self, receive: Receive) -> Message:
        try:
            message = await self._within(LONGEST_PAUSE_IN_BODY, receive())
        except TimeoutError:
            raise BodyRefused(408) from None
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        return message

    async def _refuse(self, status: int, receive: Receive, send: Send) -> None:
        """Answer without having read the body, and hang up.

        The answer is sent first; then some of the body is read and thrown away, because the system may discard the
        answer when a connection is closed on which the client is still sending.
        """
        headers = [(b"content-length", b"0"), (b"connection", b"close"), *self._custom_headers]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        try:
            async with asyncio.timeout(1):
                while (await self._next_message(receive))["more_body"]:
                    pass
        except (TimeoutError, ConnectionResetError, BodyRefused):
            pass
        await send({"type": "http.response.body", "body": b""})

    def _rendered(self, response: func.HttpResponse) -> Rendered:
        """A function's answer as the worker and the host would put it on the wire."""
        status, body = response.status_code, response.get_body()
        headers: list[tuple[bytes, bytes]] = []
        typed = status in BODYLESS
        for name, value in response.headers:
            key = name.lower().encode("latin-1")
            if key not in OWN_HEADERS:
                typed = typed or key == b"content-type"
                headers.append((key, value.encode("latin-1")))
        if not typed and body:
            mimetype = response.mimetype
            charset = f"; charset={response.charset}" if mimetype.startswith("text/") else ""
            headers.append((b"content-type", f"{mimetype}{charset}".encode("latin-1")))
        if status in BODYLESS:
            body = b""
        else:
            headers.append((b"content-length", b"%d" % len(body)))
        if self._custom_headers:
            present = {key for key, _ in headers}
            headers += [header for header in self._custom_headers if header[0] not in present]
        return status, headers, body


class BodyRefused(Exception):
    """A request body that is not read to its end; ``status`` is the answer."""

    def __init__(self, status: int) -> None:
        self.status = status


async def _send(send: Send, rendered: Rendered) -> None:
    status, headers, body = rendered
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _methods(function: Function) -> frozenset[str] | None:
    methods = function.trigger.get("methods")
    return frozenset(str(getattr(m, "value", m)).upper() for m in methods) if methods else None


def _request_headers(scope: Scope) -> dict[str, str]:
    """The headers as a function gets them: lower-case names, repeated ones joined, the peer in Client-IP."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name in headers:
            value = f"{headers[name]}{'; ' if name == 'cookie' else ','}{value}"
        headers[name] = value
    if client := scope["client"]:
        # App Service's front end writes it over whatever the client sent, so that an app may believe it.
        headers["client-ip"] = f"{client[0]}:{client[1]}"
    else:
        headers.pop("client-ip", None)
    return headers


def _query(query: str) -> dict[str, str]:
    """The query as a function gets it: repeated names joined by commas, and empty values left out."""
    params: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        if "%" in pair or "+" in pair:
            name, value = unquote_plus(name), unquote_plus(value)
        params[name] = f"{params[name]},{value}" if name in params else value
    return {name: value for name, value in params.items() if value}


def _response(answer: object) -> func.HttpResponse:
    """What the host makes of an answer that is no ``HttpResponse``: text of a string, 204 of nothing."""
    if answer is None:
        return func.HttpResponse(status_code=204)
    if isinstance(answer, str):
        return func.HttpResponse(answer)
    raise TypeError(f"an HTTP function must return an HttpResponse or a str, not {type(answer).__name__}")


async def _guarded(local: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """``/_local`` for whoever sits at this machine, and for no other site's page in a browser on it."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    host = headers.get(b"host", "")
    try:
        here = urlsplit(f"//{host}").hostname in LOCAL_NAMES  # a name of the attacker's can resolve to this machine
    except ValueError:
        here = False
    same_site = headers.get(b"origin", f"http://{host}") == f"http://{host}"
    if here and (same_site or scope["method"] in ("GET", "HEAD")):
        await local(scope, receive, send)
    else:
        await PlainTextResponse("Only for this machine.\n", 403)(scope, receive, send)
