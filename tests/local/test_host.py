import asyncio
import contextvars
import json
import logging
import socket
import threading
import time
from urllib.parse import urlsplit

import azure.functions as func
import httpx
import pytest

from local.project import ROOT, HostJson, LocalSettings
from tests.local.conftest import Serve, get, head, options, post, put


def echo(app: func.FunctionApp, route: str = "{*path}") -> None:
    """A function that answers with what it was given."""

    @app.route(route)
    async def zz_echo(req: func.HttpRequest) -> func.HttpResponse:
        seen = {
            "method": req.method,
            "url": req.url,
            "headers": dict(req.headers.items()),
            "params": dict(req.params),
            "route_params": dict(req.route_params),
            "body": req.get_body().decode("latin-1"),
        }
        return func.HttpResponse(json.dumps(seen), mimetype="application/json")


def raw(url: str, request: bytes, *, then: bytes = b"") -> bytes:
    """Send bytes as they are and read until the server closes."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as connection:
        connection.sendall(request)
        if then:
            connection.sendall(then)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


# ---------------------------------------------------------------- what a function is given


def test_a_function_gets_the_request_as_the_functions_host_hands_it_over(app: func.FunctionApp, serving: Serve) -> None:
    echo(app, "things/{id}/{*rest}")
    url = serving(app)
    seen = post(f"{url}/things/a%2Fb/c/d?x=1&y=%C3%A9+z", content=b"body", headers={"X-Thing": "Value"}).json()
    assert seen["method"] == "POST"
    assert seen["url"] == f"{url}/things/a%2Fb/c/d?x=1&y=%C3%A9+z"
    assert seen["params"] == {"x": "1", "y": "é z"}
    assert seen["route_params"] == {"id": "a/b", "rest": "c/d"}
    assert seen["headers"]["x-thing"] == "Value"
    assert seen["body"] == "body"


def test_repeated_query_names_are_joined_by_commas_and_empty_ones_left_out(
    app: func.FunctionApp, serving: Serve
) -> None:
    echo(app)
    params = get(f"{serving(app)}/?a=1&a=2&b=&c&d=%2C&e=%zz&&=x").json()["params"]
    assert params == {"a": "1,2", "d": ",", "e": "%zz", "": "x"}


def test_repeated_headers_are_joined(app: func.FunctionApp, serving: Serve) -> None:
    echo(app)
    headers = [("X-A", "1"), ("x-a", "2"), ("Cookie", "a=1"), ("Cookie", "b=2")]
    seen = get(serving(app), headers=headers).json()["headers"]
    assert seen["x-a"] == "1,2"
    assert seen["cookie"] == "a=1; b=2"


def test_the_peer_address_is_written_over_what_the_client_sent(app: func.FunctionApp, serving: Serve) -> None:
    echo(app)
    sent = {"Client-IP": "203.0.113.9", "X-Forwarded-For": "203.0.113.9, 10.0.0.1", "X-Forwarded-Proto": "https"}
    seen = get(serving(app), headers=sent).json()
    address, _, port = seen["headers"]["client-ip"].partition(":")
    assert address == "127.0.0.1"
    assert port.isdecimal()
    assert seen["headers"]["x-forwarded-for"] == "203.0.113.9, 10.0.0.1"
    assert seen["url"].startswith("http://")


def test_a_chunked_body_arrives_whole(app: func.FunctionApp, serving: Serve) -> None:
    echo(app)
    seen = post(serving(app), content=(part for part in [b"one ", b"two ", b"three"])).json()
    assert seen["body"] == "one two three"


def test_a_large_body_arrives_whole(app: func.FunctionApp, serving: Serve) -> None:
    @app.route("size", methods=["PUT"])
    async def size(req: func.HttpRequest) -> str:
        return str(len(req.get_body()))

    assert put(f"{serving(app)}/size", content=b"x" * 3_000_000).text == "3000000"


def test_functions_are_async_or_sync_and_may_ask_for_a_context(app: func.FunctionApp, serving: Serve) -> None:
    @app.route("sync", trigger_arg_name="request")
    def sync(request: func.HttpRequest, context: func.Context) -> str:
        with pytest.raises(RuntimeError):  # no loop here that it could hold up
            asyncio.get_running_loop()
        return f"{request.method} {context.function_name}"

    @app.function_name("renamed")
    @app.route("async")
    async def asynchronous(req: func.HttpRequest, context: func.Context) -> str:
        return f"{context.function_name} {len(context.invocation_id)} {context.function_directory}"

    url = serving(app)
    assert get(f"{url}/sync").text == "GET sync"
    assert get(f"{url}/async").text == f"renamed 36 {ROOT}"


def test_a_sync_function_does_not_hold_up_the_others(app: func.FunctionApp, serving: Serve) -> None:
    release = threading.Event()

    @app.route("slow")
    def slow(req: func.HttpRequest) -> str:
        return str(release.wait(10))

    @app.route("quick")
    async def quick(req: func.HttpRequest) -> str:
        release.set()
        return "quick"

    url = serving(app)
    answers: list[str] = []
    waiting = threading.Thread(target=lambda: answers.append(get(f"{url}/slow").text))
    waiting.start()
    assert get(f"{url}/quick").text == "quick"
    waiting.join()
    assert answers == ["True"]


def test_requests_do_not_see_each_others_context_variables(app: func.FunctionApp, serving: Serve) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    @app.route("x")
    async def x(req: func.HttpRequest) -> str:
        before = variable.get()
        variable.set("set")
        return before

    with httpx.Client(base_url=serving(app)) as client:
        assert [client.get("/x").text for _ in range(3)] == ["unset"] * 3


# ---------------------------------------------------------------- what becomes of its answer


def test_an_answer_keeps_its_status_headers_and_body(app: func.FunctionApp, serving: Serve) -> None:
    @app.route("x")
    async def x(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(b"\x00\xff", status_code=418, headers={"X-A": "é"}, mimetype="image/png")

    answer = get(f"{serving(app)}/x")
    assert (answer.status_code, answer.content) == (418, b"\x00\xff")
    assert answer.headers.raw.count((b"content-length", b"2")) == 1
    assert (b"x-a", b"\xe9") in answer.headers.raw
    assert answer.headers["content-type"] == "image/png"
    assert "server" not in answer.headers


@pytest.mark.parametrize(
    ("answer", "content_type"),
    [
        (lambda: func.HttpResponse("x"), "text/plain; charset=utf-8"),
        (lambda: func.HttpResponse("x", mimetype="text/html", charset="latin-1"), "text/html; charset=latin-1"),
        (lambda: func.HttpResponse("{}", mimetype="application/json"), "application/json"),
        (lambda: func.HttpResponse("x", headers={"Content-Type": "text/csv"}), "text/csv"),
        (lambda: "x", "text/plain; charset=utf-8"),
    ],
)
def test_the_content_type_is_what_the_worker_would_send(
    app: func.FunctionApp, serving: Serve, answer: object, content_type: str
) -> None:
    @app.route("x")
    async def x(req: func.HttpRequest) -> object:
        return answer()  # type: ignore[operator]

    assert get(f"{serving(app)}/x").headers["content-type"] == content_type


def test_several_cookies_survive(app: func.FunctionApp, serving: Serve) -> None:
    @app.route("x")
    async def x(req: func.HttpRequest) -> func.HttpResponse:
        response = func.HttpResponse("x")
        response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly")
        response.headers.add("Set-Cookie", "b=2; Path=/; Partitioned")
        return response

    cookies = get(f"{serving(app)}/x").headers.get_list("set-cookie")
    assert cookies == ["a=1; Path=/; HttpOnly", "b=2; Path=/; Partitioned"]


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_has_neither_length_nor_type(
    app: func.FunctionApp, serving: Serve, status: int
) -> None:
    @app.route("x")
    async def x(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("ignored", status_code=status, headers={"ETag": '"1"'})

    url = serving(app)
    answer = raw(url, b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").lower()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b""
    assert b"content-length" not in head
    assert b"content-type" not in head
    assert b'etag: "1"' in head


def test_a_function_that_returns_nothing_answers_204(app: func.FunctionApp, serving: Serve) -> None:
    @app.route("x")
    async def x(req: func.HttpRequest) -> None:
        return None

    assert get(f"{serving(app)}/x").status_code == 204


def test_head_is_answered_without_a_body_but_with_its_length(app: func.FunctionApp, serving: Serve) -> None:
    @app.route("x", methods=["GET", "HEAD"])
    async def x(req: func.HttpRequest) -> str:
        return "12345"

    answer = raw(serving(app), b"HEAD /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert b"content-length: 5\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_custom_headers_are_added_where_the_function_did_not_set_them(app: func.FunctionApp, serving: Serve) -> None:
    @app.route("x")
    async def x(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("x", headers={"cache-control": "public"})

    custom = HostJson(route_prefix="", custom_headers={"Cache-Control": "no-store", "X-Frame-Options": "DENY"})
    url = serving(app, custom)
    answer = get(f"{url}/x")
    assert answer.headers.get_list("cache-control") == ["public"]
    assert answer.headers["x-frame-options"] == "DENY"
    assert get(f"{url}/missing").headers["cache-control"] == "no-store"


def test_a_function_that_fails_answers_500_without_a_word_and_is_logged(
    app: func.FunctionApp, serving: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    @app.route("x")
    async def broken(req: func.HttpRequest) -> str:
        raise ValueError("secret")

    @app.route("y")
    async def wrong(req: func.HttpRequest) -> object:
        return {"not": "an answer"}

    @app.route("z")
    async def unencodable(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("z", headers={"X-Price": "5 €"})

    url = serving(app)
    for path in ("x", "y", "z"):
        answer = get(f"{url}/{path}")
        assert (answer.status_code, answer.content) == (500, b"")
    assert "Function broken failed" in caplog.text
    assert "ValueError: secret" in caplog.text
    assert "must return an HttpResponse or a str, not dict" in caplog.text


def test_a_function_that_takes_too_long_is_stopped(app: func.FunctionApp, serving: Serve) -> None:
    stopped = threading.Event()

    @app.route("x")
    async def slow(req: func.HttpRequest) -> str:
        try:
            await asyncio.sleep(30)
        finally:
            stopped.set()
        return "never"

    url = serving(app, HostJson(route_prefix="", function_timeout=0.1))
    assert get(f"{url}/x").status_code == 500
    assert stopped.is_set()


# ---------------------------------------------------------------- routes, over HTTP


def test_an_unknown_path_is_an_empty_404(app: func.FunctionApp, serving: Serve) -> None:
    @app.route("x", methods=["GET"])
    async def x(req: func.HttpRequest) -> str:
        return "x"

    url = serving(app, HostJson())
    assert get(f"{url}/api/x").text == "x"
    for answer in (get(f"{url}/x"), post(f"{url}/api/x"), head(f"{url}/api/x")):
        assert (answer.status_code, answer.content) == (404, b"")


def test_an_unusual_path_reaches_the_catch_all(app: func.FunctionApp, serving: Serve) -> None:
    echo(app)
    url = serving(app)
    for path, value in [("/%FF%zz", "�%zz"), ("//x", "/x"), ("/..%2f..", "../.."), ("/x;y=1", "x;y=1")]:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        answer = raw(url, request.encode("latin-1"))
        assert answer.startswith(b"HTTP/1.1 200"), path
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["route_params"] == {"path": value}


@pytest.mark.parametrize("target", [b"*", b"\xff\xfe", b"x y", b"http://[::1", b""])
def test_a_malformed_request_is_refused_and_the_server_lives_on(
    app: func.FunctionApp, serving: Serve, target: bytes
) -> None:
    echo(app)
    url = serving(app)
    answer = raw(url, b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 200"))
    assert get(url).status_code == 200


def test_triggers_the_host_cannot_run_are_named_once(
    app: func.FunctionApp, serving: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    @app.queue_trigger("message", "queue", "connection")
    def drain(message: func.QueueMessage) -> None: ...

    @app.route("x")
    @app.queue_output("out", "queue", "connection")
    async def fill(req: func.HttpRequest, out: func.Out[str]) -> str:
        return "x"

    echo(app)
    with caplog.at_level(logging.WARNING):
        url = serving(app)
    assert [record.getMessage() for record in caplog.records if record.name == "local.host"] == [
        "Not run by the local host: drain (queueTrigger), fill (queue)"
    ]
    assert get(url).status_code == 200


# ---------------------------------------------------------------- bodies that are not read to their end


@pytest.fixture
def small_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "1000")


@pytest.mark.usefixtures("small_bodies")
def test_a_body_over_the_limit_is_refused_before_it_is_read(app: func.FunctionApp, serving: Serve) -> None:
    echo(app)
    url = serving(app)
    assert post(url, content=b"x" * 1000).status_code == 200
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n"
    answer = raw(url, head)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close\r\n" in answer


@pytest.mark.usefixtures("small_bodies")
def test_a_chunked_body_over_the_limit_is_refused_and_the_client_can_read_it(
    app: func.FunctionApp, serving: Serve
) -> None:
    echo(app)
    url = serving(app)
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert raw(url, head, then=b"3e9\r\n" + b"x" * 1001).startswith(b"HTTP/1.1 413")
    assert post(url, content=(b"x" * 100_000 for _ in range(20))).status_code == 413


@pytest.mark.usefixtures("small_bodies")
def test_the_server_stops_reading_a_refused_body(app: func.FunctionApp, serving: Serve) -> None:
    echo(app)
    parts = urlsplit(serving(app))
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000000\r\n\r\n")
        started = time.monotonic()
        with pytest.raises(OSError):  # noqa: PT012 - whichever call meets the closed connection first
            while time.monotonic() < started + 8:
                connection.sendall(b"x" * 65536)
                time.sleep(0.01)


def test_a_body_that_never_ends_holds_up_nobody(app: func.FunctionApp, serving: Serve) -> None:
    echo(app)
    url = serving(app)
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as stalled:
        stalled.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf")
        assert get(url).status_code == 200


def test_a_client_that_stops_sending_is_told_so(
    app: func.FunctionApp, serving: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.host.LONGEST_PAUSE_IN_BODY", 0.2)
    echo(app)
    request = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf"
    assert raw(serving(app), request).startswith(b"HTTP/1.1 408")


def test_a_client_that_leaves_in_the_middle_of_its_body_is_forgotten(
    app: func.FunctionApp, serving: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    echo(app)
    url = serving(app)
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as leaving:
        leaving.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf")
    assert get(url).status_code == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# ---------------------------------------------------------------- CORS

PREFLIGHT = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization,if-match"}


def test_with_cors_the_host_answers_preflights_itself(app: func.FunctionApp, serving: Serve) -> None:
    echo(app)
    url = serving(app, settings=LocalSettings(cors=("http://localhost:5173",), cors_credentials=True))
    answer = options(f"{url}/x", headers={"Origin": "http://localhost:5173", **PREFLIGHT})
    assert answer.status_code in (200, 204)
    assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert "if-match" in answer.headers["access-control-allow-headers"]
    refused = options(f"{url}/x", headers={"Origin": "http://evil.example", **PREFLIGHT})
    assert "access-control-allow-origin" not in refused.headers


def test_with_cors_an_allowed_origin_may_read_the_answer_and_its_headers(app: func.FunctionApp, serving: Serve) -> None:
    echo(app)
    url = serving(app, settings=LocalSettings(cors=("http://localhost:5173",), cors_credentials=True))
    answer = get(url, headers={"Origin": "http://localhost:5173"})
    assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "Origin" in answer.headers["vary"]
    assert "ETag" in answer.headers["access-control-expose-headers"]
    other = get(url, headers={"Origin": "http://evil.example"})
    assert other.status_code == 200
    assert "access-control-allow-origin" not in other.headers
    assert "access-control-allow-origin" not in get(url).headers


def test_without_cors_a_preflight_goes_to_the_functions(app: func.FunctionApp, serving: Serve) -> None:
    echo(app)
    answer = options(serving(app), headers={"Origin": "http://localhost:5173", **PREFLIGHT})
    assert answer.json()["method"] == "OPTIONS"
    assert "access-control-allow-origin" not in answer.headers


# ---------------------------------------------------------------- /_local


def test_local_endpoints_answer_this_machine_only(app: func.FunctionApp, serving: Serve) -> None:
    @app.timer_trigger("timer", schedule="0 0 0 1 1 *")
    async def yearly(timer: func.TimerRequest) -> None: ...

    url = serving(app)
    port = urlsplit(url).port
    fire = f"{url}/_local/timers/yearly"
    for name in ("localhost", "127.0.0.1", "[::1]"):
        assert post(fire, headers={"Host": f"{name}:{port}"}).status_code == 200
    for name in ("rebound.example", "127.0.0.1.evil.example", "", "[::1"):
        assert post(fire, headers={"Host": name}).status_code == 403
        assert get(f"{url}/_local/timers", headers={"Host": name}).status_code == 403


def test_another_sites_page_cannot_fire_a_timer(app: func.FunctionApp, serving: Serve) -> None:
    @app.timer_trigger("timer", schedule="0 0 0 1 1 *")
    async def yearly(timer: func.TimerRequest) -> None: ...

    url = serving(app)
    fire = f"{url}/_local/timers/yearly"
    assert post(fire, headers={"Origin": url}).status_code == 200
    for origin in ("http://evil.example", "null", f"{url}0", "http://localhost:1"):
        assert post(fire, headers={"Origin": origin}).status_code == 403
