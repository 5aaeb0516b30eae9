"""``@endpoint``: from an HTTP request to a typed handler, and from what it returns to an HTTP response.

    @app.route("api/applications", methods=["POST"])
    @endpoint(scope("applications:write"), status=201, location="/api/applications/{id}")
    async def create_application(
        caller: AnyCaller, body: ApplicationDraft, retry: Retry | None
    ) -> Document[Application]:
        \"""Write an application down.\"""
        return await applications.create_application(caller, body, retry=retry)

A handler asks by name for what it needs: ``caller`` (a Caller, or AnyCaller where personal access tokens are taken
too), ``body`` (a Request model), ``upload`` (an Upload: a file, and a Request model of what is said of it), ``content``
(bytes, of whatever type), ``query`` (a Query model), ``retry`` (the Idempotency-Key), ``versions`` (If-Match),
``call`` (the request's other facts), and the names in its path. What it declares is read once, at import, and a
declaration that cannot work fails there.
"""

import hashlib
import inspect
import json
import logging
import re
import types
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from time import perf_counter
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID, uuid4

import azure.functions as func
from pydantic import BaseModel, ValidationError

from shared import audit, db, errors, identities, metrics, settings, tokens
from shared.access import Access, member
from shared.db import AnyCaller, Caller, Device, TokenCaller
from shared.documents import Document, Page, Retry, Versions
from shared.errors import Problem, ValidationFailed
from shared.fields import Accepted, Contents, Elsewhere, PlainText, Svg, Upload, WebPage
from shared.files import MAX_DIRECT, MAX_UPLOAD
from shared.identities import Arrival, Authorization, Departure, LinkBegun
from shared.security import device_cookies
from shared.sessions import Presented, SignedIn, SignedOut, Tokens

logger = logging.getLogger(__name__)

MAX_BODY = 1024 * 1024
"""Bytes of a JSON body, where the endpoint does not declare another limit. Files go another way."""

MAX_FORM = 64 * 1024
"""Bytes of a form's fields besides its file."""

MAX_PARTS = 20
"""Parts of a form."""

MAX_KEY = 128
"""Characters of an Idempotency-Key."""

REFRESH_COOKIE = "__Host-jobtrail_refresh"
"""The prefix makes browsers insist on Secure, Path=/ and no Domain: no other host can set or see it."""

OAUTH_COOKIE = "__Host-jobtrail_oauth"
"""Tells the browser that went to a provider from the one that comes back: nobody can make another finish theirs."""

DEVICE_COOKIE = "__Host-jobtrail_device"
"""Says that somebody has signed in here before: see shared/security/device_cookies.py."""

COOKIE_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"
REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
JSON = "application/json"
PROBLEM_JSON = "application/problem+json"

Handler = Callable[..., Awaitable[Any]]
Function = Callable[[func.HttpRequest], Awaitable[func.HttpResponse]]


class Call:
    """The facts of one HTTP request that are neither its body nor its query."""

    def __init__(self, request: func.HttpRequest) -> None:
        self._request = request
        given = request.headers.get("x-request-id", "")
        self.request_id = given if REQUEST_ID.fullmatch(given) else uuid4().hex

    def header(self, name: str) -> str | None:
        value: str | None = self._request.headers.get(name)
        return value

    @property
    def method(self) -> str:
        method: str = self._request.method
        return method

    @property
    def path(self) -> str:
        path: str = urlsplit(self._request.url).path
        return path

    @property
    def names(self) -> Mapping[str, str]:
        """What stands in the path where its route has names."""
        names: Mapping[str, str] = self._request.route_params
        return names

    @cached_property
    def device(self) -> Device:
        agent = self.header("user-agent")
        return Device(self.address, agent[:500].replace("\0", "") if agent else None, cookie=self.cookie(DEVICE_COOKIE))

    @property
    def address(self) -> str | None:
        """The client's address by the word of the platform's own hop; None when that says nothing usable."""
        hops = settings.current().trusted_proxy_hops
        if hops == 0:
            entry = self.header("client-ip") or ""
        else:
            entries = (self.header("x-forwarded-for") or "").split(",")
            entry = entries[-hops] if len(entries) >= hops else ""
        return _bare_address(entry)

    def presented(self, in_body: str | None) -> Presented | None:
        """The refresh token in the body, or else the one in the cookie.

        Raises:
            OriginNotAllowed: there is a cookie, but the request does not come from a page that may use it.
        """
        if in_body is not None:
            return Presented(in_body, "body")
        value = self.cookie(REFRESH_COOKIE)
        if value is None:
            return None
        if self.header("origin") not in settings.current().allowed_origins:
            raise errors.OriginNotAllowed
        return Presented(value, "cookie")

    def cookie(self, wanted: str) -> str | None:
        """The value of a cookie that came with the request."""
        for pair in (self.header("cookie") or "").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == wanted and value:
                return value
        return None

    def bearer(self) -> Caller | None:
        """Who the Authorization header speaks for, where nobody has to be signed in.

        Raises:
            InvalidToken: there is one, and it is not good.
            SessionRequired: it is a personal access token.
        """
        authorization = self.header("authorization")
        caller = member.admit(authorization) if authorization else None
        assert not isinstance(caller, TokenCaller)
        return caller


@dataclass(frozen=True)
class Raw:
    """An answer that was made once and is given as it is."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: ClassVar[str]


class Json(Raw):
    media_type = JSON


class Html(Raw):
    media_type = "text/html"


class Zip(Raw):
    media_type = "application/zip"


class Calendar(Raw):
    """A calendar for one reader, who is spared what they have already."""

    media_type = "text/calendar"


class Csv(Raw):
    media_type = "text/csv"


@dataclass(frozen=True, slots=True)
class Answer:
    """One way an endpoint may succeed: the kind of what its handler returns, and the model of its JSON."""

    status: int
    kind: Any
    model: type[BaseModel] | None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a handler declared: all that OpenAPI and the contract tests need to know of it."""

    handler: Handler
    access: Access
    location: str | None
    raises: tuple[type[Problem], ...]
    accepts: tuple[str, ...]
    public_cache: int
    max_body: int
    body: type[BaseModel] | None
    form: type[BaseModel] | None
    query: type[BaseModel] | None
    path: Mapping[str, type]
    takes: frozenset[str]
    answers: tuple[Answer, ...]

    @property
    def status(self) -> int:
        """What success is answered with, as a rule."""
        return self.answers[0].status

    @property
    def summary(self) -> str:
        return (self.handler.__doc__ or "").strip().partition("\n")[0]

    @property
    def description(self) -> str:
        return inspect.cleandoc(self.handler.__doc__ or "").partition("\n")[2].strip()


def endpoint(
    access: Access,
    *,
    status: int = 200,
    location: str | None = None,
    raises: tuple[type[Problem], ...] = (),
    accepts: tuple[Literal["cookie", "bearer"], ...] = (),
    public_cache: int = 0,
    max_body: int = MAX_BODY,
) -> Callable[[Handler], Function]:
    """Make an HTTP function of a handler.

    Args:
        access: who may call it.
        status: what success is answered with; a handler that returns None answers 204.
        location: the path of what was made, ``{id}`` standing for its id, other names for those of the request's path.
        raises: the Problems the feature may raise besides those every endpoint of this kind may.
        accepts: credentials that may come although nobody has to be signed in.
        public_cache: seconds for which anybody may keep the answer.
        max_body: bytes that its JSON body may have.
    """

    if not isinstance(access, Access):
        raise TypeError(f"@endpoint must say first who may call it: @endpoint({' or '.join(RULES)}), not {access!r}")

    def decorate(handler: Handler) -> Function:
        spec = _declaration(handler, access, status, location, raises, accepts, public_cache, max_body)

        async def function(req: func.HttpRequest) -> func.HttpResponse:
            began = perf_counter()
            call = Call(req)
            try:
                response = _respond(spec, call, await _answer(spec, call, req))
            except Problem as problem:
                if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    logger.warning("request %s: %s: %s", call.request_id, problem.code, problem.__cause__)
                if isinstance(problem, errors.RateLimited):
                    await audit.note_limit(problem, device=call.device)
                response = _refuse(call, problem)
            except Exception:
                logger.exception("request %s failed", call.request_id)
                response = _refuse(call, errors.Unexpected())
            metrics.served(handler.__name__, response.status_code, perf_counter() - began)
            return response

        # Not functools.wraps: the worker would look through it and find parameters that are no bindings.
        function.__name__ = function.__qualname__ = handler.__name__
        function.__doc__ = handler.__doc__
        function.endpoint = spec  # type: ignore[attr-defined]
        return function

    return decorate


async def _answer(spec: Endpoint, call: Call, request: func.HttpRequest) -> Any:
    caller = spec.access.admit(call.header("authorization"))
    try:
        return await _answer_to(caller, spec, call, request)
    except (errors.TokenRevoked, errors.InsufficientScope) as refusal:
        if isinstance(caller, TokenCaller):  # the door refused, and undid whatever it might have written down
            await tokens.note_refusal(caller, refusal, device=call.device)
        raise


async def _answer_to(caller: AnyCaller | None, spec: Endpoint, call: Call, request: func.HttpRequest) -> Any:
    try:
        arguments: dict[str, Any] = {}
        if "caller" in spec.takes:
            arguments["caller"] = caller
        if "call" in spec.takes:
            arguments["call"] = call
        for name, kind in spec.path.items():
            arguments[name] = _path_value(request.route_params.get(name, ""), kind)
        if "versions" in spec.takes:
            arguments["versions"] = _versions(call.header("if-match"))
        if spec.query is not None:
            arguments["query"] = _query(spec.query, request.url)
        elif "?" in request.url:
            _query(_NoQuery, request.url)
        if spec.body is not None:
            arguments["body"] = body = _body(spec.body, call, request.get_body(), limit=spec.max_body)
            if "retry" in spec.takes:
                arguments["retry"] = _retry(call, body.model_dump_json())
        if spec.form is not None:
            arguments["upload"] = upload = _upload(spec.form, call, request.get_body())
            if "retry" in spec.takes:
                digest = hashlib.sha256(upload.content).hexdigest()
                arguments["retry"] = _retry(call, f"{upload.name}\n{digest}\n{upload.fields.model_dump_json()}")
        if "content" in spec.takes:
            arguments["content"] = content = request.get_body()
            if len(content) > MAX_DIRECT:
                raise errors.FileTooLarge(limit=MAX_DIRECT)
    except Problem:
        if caller is not None:  # a caller whose session has ended learns that first, and nothing about the request
            await db.admit(caller)
        raise
    return await spec.handler(**arguments)


class _NoQuery(BaseModel, extra="forbid"):
    """The query string of an endpoint that has none."""


class AnyQuery(BaseModel, extra="ignore"):
    """A query string that does not matter."""


def _query(model: type[BaseModel], url: str) -> BaseModel:
    pairs = parse_qsl(url.partition("?")[2], keep_blank_values=True)
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given and (name in model.model_fields or model.model_config["extra"] != "ignore"):
            raise ValidationFailed.of(name[:100], "duplicate", "must be given once")
        given[name] = value
    try:
        return model.model_validate(given)
    except ValidationError as invalid:
        raise _validation_failed(invalid) from None


def _body(model: type[BaseModel], call: Call, data: bytes, *, limit: int) -> BaseModel:
    if len(data) > limit:
        raise errors.BodyTooLarge(limit=limit)
    media_type = (call.header("content-type") or "").partition(";")[0].strip().lower()
    if not data and not needs_body(model):
        data = b"{}"
    elif media_type != JSON and not (media_type.startswith("application/") and media_type.endswith("+json")):
        raise errors.UnsupportedMediaType
    try:
        # Twice, since neither parser does it all: the first finds duplicate keys, the second is strict about types.
        parsed = json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
        return model.model_validate_json(data)
    except ValidationError as invalid:
        if invalid.errors()[0]["type"] == "json_invalid":  # yet it parsed: a text that is none, or nested too deep
            raise _unreadable(parsed) from None
        raise _validation_failed(invalid) from None
    except (ValueError, RecursionError):  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise errors.MalformedJson from None


def _upload(model: type[BaseModel], call: Call, data: bytes) -> Upload[Any]:
    """A form with one file, named ``file``, and texts. Werkzeug parses it, as for ``HttpRequest.files``, but that one
    has no limits and takes what is malformed for nothing."""
    import io

    from werkzeug.exceptions import RequestEntityTooLarge
    from werkzeug.formparser import FormDataParser
    from werkzeug.http import parse_options_header

    if len(data) > MAX_UPLOAD + MAX_FORM:
        raise errors.FileTooLarge(limit=MAX_UPLOAD)
    media_type, options = parse_options_header(call.header("content-type"))
    if media_type != "multipart/form-data":
        raise errors.FormExpected
    parser = FormDataParser(
        lambda *_, **__: io.BytesIO(), max_form_memory_size=MAX_FORM, max_form_parts=MAX_PARTS, silent=False
    )
    try:
        _, fields, files = parser.parse(io.BytesIO(data), media_type, len(data), options)
    except (RequestEntityTooLarge, ValueError, LookupError):  # an encoding that there is not is a LookupError
        raise errors.MalformedForm from None
    if [name for name, _ in files.items(multi=True)] != ["file"]:
        raise ValidationFailed.of("file", "missing", "must be given once, with a file name, and no other file")
    texts = list(fields.items(multi=True))
    if len(dict(texts)) != len(texts):
        raise ValidationFailed.of("", "duplicate", "every field must be given once")
    try:
        given = model.model_validate_json(json.dumps(dict(texts)))
    except ValidationError as invalid:
        raise _validation_failed(invalid) from None
    return Upload(files["file"].stream.read(), files["file"].filename or "", given)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _unreadable(parsed: Any) -> Problem:
    try:
        json.dumps(parsed, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return ValidationFailed.of("", "lone_surrogate", "text must not contain lone surrogates")
    except RecursionError:
        pass
    return errors.MalformedJson()


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _validation_failed(invalid: ValidationError) -> Problem:
    faults = [
        {
            "field": ".".join(str(part)[:100] for part in _place(fault)),
            "code": fault["type"],
            "message": fault["msg"],
        }
        for fault in invalid.errors(include_url=False, include_input=False)
    ]
    return ValidationFailed(errors=faults[:20])


def _place(fault: Any) -> tuple[int | str, ...]:
    """Where a fault is. An unknown field inside another is not named: it is input, which is not repeated."""
    place: tuple[int | str, ...] = fault["loc"]
    return place[:-1] if len(place) > 1 and fault["type"] == "extra_forbidden" else place


def _path_value(text: str, kind: type) -> Any:
    if not text.isprintable() or len(text) > 100:  # no name of ours; surrogates are not printable either
        raise errors.NotFound
    try:
        return kind(text)
    except ValueError:
        raise errors.NotFound from None


def _versions(if_match: str | None) -> Versions:
    """What ``If-Match`` allows. A tag that is none of ours matches nothing: there is no version 0."""
    if if_match is None or if_match.strip() == "*":
        return None
    tags = (tag.strip() for tag in if_match.split(","))
    return tuple(int(tag[1:-1]) if re.fullmatch(r'"[1-9][0-9]{0,8}"', tag) else 0 for tag in tags)


def _retry(call: Call, body: str) -> Retry | None:
    key = call.header("idempotency-key")
    if key is None:
        return None
    if not 0 < len(key) <= MAX_KEY or not key.isprintable():
        raise ValidationFailed.of("Idempotency-Key", "string_length", f"must be 1 to {MAX_KEY} printable characters")
    request = f"{call.method} {call.path}\n{body}"
    return Retry(key, hashlib.sha256(request.encode()).digest())


def _bare_address(entry: str) -> str | None:
    """``1.2.3.4:567``, ``[::1]:567`` and bare addresses, without the port; None if it is none of them."""
    from ipaddress import ip_address

    entry = entry.strip()
    if entry.startswith("["):
        entry = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        entry = entry.partition(":")[0]
    try:
        return None if "%" in entry else str(ip_address(entry))  # a zone means something to its own machine only
    except ValueError:
        return None


# ---------------------------------------------------------------- responses


def _respond(spec: Endpoint, call: Call, result: Any) -> func.HttpResponse:
    headers = {"X-Request-Id": call.request_id, "Cache-Control": "no-store"}
    status, body, media_type = spec.status, b"", JSON
    cookies: list[str] = []
    if spec.public_cache:
        headers["Cache-Control"] = f"public, max-age={spec.public_cache}"
    match result:
        case Document():
            body = result.json.encode()
            if result.version is not None:
                tag = f'"{result.version}"'
                headers["ETag"] = tag
                headers["Cache-Control"] = "private, no-cache"
                if call.method == "GET" and _matches(call.header("if-none-match"), tag):
                    return func.HttpResponse(status_code=304, headers=headers)
            if result.replayed:
                headers["Idempotency-Replayed"] = "true"
            if spec.location:
                headers["Location"] = spec.location.format(id=result.id, **call.names)
        case Page():
            body = result.json.encode()
        case SignedIn():
            cookies += cookies_of(result)
            in_cookie = {"refresh_token"} if result.transport == "cookie" else None
            body = result.tokens.model_dump_json(exclude=in_cookie).encode()
        case Departure():
            status, headers["Location"] = 302, result.location
            cookies.append(_oauth_cookie(result.browser))
        case LinkBegun():
            body = result.authorization.model_dump_json().encode()
            cookies.append(_oauth_cookie(result.browser))
        case Arrival():
            status, headers["Location"] = 302, result.location
            if result.signed_in:
                cookies += cookies_of(result.signed_in)
        case BaseModel():
            body = result.model_dump_json().encode()
        case Calendar():
            body, media_type = result.body, result.media_type
            tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            headers |= {"ETag": tag, "Cache-Control": "private, no-cache", **result.headers}
            if _matches(call.header("if-none-match"), tag):
                return func.HttpResponse(status_code=304, headers=headers)
        case Raw():
            body, media_type = result.body, result.media_type
            headers |= result.headers
        case PlainText() | Svg():
            body, media_type = result.text.encode(), result.media_type
        case WebPage():
            body, media_type = result.html.encode(), Html.media_type
            headers |= result.headers
        case Contents():
            body, media_type = result.content, result.media_type
            headers |= {"Content-Disposition": result.disposition, "ETag": f'"{result.sha256}"'}
        case Elsewhere():
            headers["Location"] = result.location
            status = 302
        case SignedOut():
            if result.transport == "cookie":
                cookies.append(f"{REFRESH_COOKIE}=; Max-Age=0; {COOKIE_ATTRIBUTES}")
        case Accepted():
            status = 202
        case None:
            pass
        case _:
            raise TypeError(f"{spec.handler.__name__} returned {type(result).__name__}")
    if not body:
        response = func.HttpResponse(status_code=status, headers=headers)
    else:
        response = func.HttpResponse(body, status_code=status, headers=headers, mimetype=media_type)
    for cookie in cookies:
        response.headers.add("Set-Cookie", cookie)
    return response


def cookies_of(signed_in: SignedIn) -> list[str]:
    """The refresh token, where it travels that way, and what the browser is known by after a new sign-in."""
    cookies, tokens = [], signed_in.tokens
    if signed_in.transport == "cookie":
        life = tokens.refresh_expires_in
        cookies.append(f"{REFRESH_COOKIE}={tokens.refresh_token}; Max-Age={life}; {COOKIE_ATTRIBUTES}")
    if signed_in.device_cookie:
        life = device_cookies.DAYS * device_cookies.DAY
        cookies.append(f"{DEVICE_COOKIE}={signed_in.device_cookie}; Max-Age={life}; {COOKIE_ATTRIBUTES}")
    return cookies


def _oauth_cookie(browser: str) -> str:
    return f"{OAUTH_COOKIE}={browser}; Max-Age={identities.LIFE}; {COOKIE_ATTRIBUTES}"


def _refuse(call: Call, problem: Problem) -> func.HttpResponse:
    metrics.refusals[problem.code] += 1
    body = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail or problem.title,
        "request_id": call.request_id,
        **problem.facts,
    }
    headers = {"X-Request-Id": call.request_id, "Cache-Control": "no-store", **problem.headers}
    return func.HttpResponse(json.dumps(body), status_code=problem.status.value, headers=headers, mimetype=PROBLEM_JSON)


def _matches(if_none_match: str | None, tag: str) -> bool:
    if if_none_match is None:
        return False
    return any(given.strip().removeprefix("W/") in (tag, "*") for given in if_none_match.split(","))


# ---------------------------------------------------------------- declarations

ALLOWED = "caller, body, upload, content, query, retry, versions, call, and the names in the path"
PATH_TYPES = (UUID, str)
RULES = ("anyone", "member", 'scope("applications:read")', 'role("admin")')


def _declaration(
    handler: Handler,
    access: Access,
    status: int,
    location: str | None,
    raises: tuple[type[Problem], ...],
    accepts: tuple[str, ...],
    public_cache: int,
    max_body: int,
) -> Endpoint:
    def wrong(why: str) -> TypeError:
        return TypeError(
            f"{handler.__name__}: {why}. Write it like: "
            "async def rename_thing(caller: Caller, thing_id: UUID, body: ThingChanges) -> Document[Thing]"
        )

    if not inspect.iscoroutinefunction(handler):
        raise wrong("handlers are async")
    if not (handler.__doc__ or "").strip():
        raise wrong("its docstring's first line becomes the summary, and there is none")
    hints = get_type_hints(handler)
    if "return" not in hints:
        raise wrong("what it returns is not declared")
    known: dict[str, Any] = {"call": Call, "retry": Retry | None, "versions": Versions, "content": bytes}
    if access.needs_caller:
        known["caller"] = AnyCaller if access.takes_tokens else Caller
    path: dict[str, type] = {}
    form: type[BaseModel] | None = None
    for name in inspect.signature(handler).parameters:
        hint = hints.get(name)
        if name in ("body", "query"):
            if not (isinstance(hint, type) and issubclass(hint, BaseModel)):
                raise wrong(f"{name} must be a pydantic model")
        elif name == "upload":
            if get_origin(hint) is not Upload:
                raise wrong("upload must be an Upload of a pydantic model")
            (form,) = get_args(hint)
        elif name in known:
            if hint != known[name]:
                raise wrong(f"{name} must be declared as {known[name]}")
        elif hint in PATH_TYPES:
            path[name] = hint
        else:
            raise wrong(f"{name!r} is none of {ALLOWED} (which are UUID or str)")
    takes = frozenset(hints) - {"return"}
    if "retry" in takes and not takes & {"body", "upload"}:
        raise wrong("retry needs a body to recognise the request by")
    return Endpoint(
        handler=handler,
        access=access,
        location=location,
        raises=raises,
        accepts=accepts,
        public_cache=public_cache,
        max_body=max_body,
        body=hints.get("body"),
        form=form,
        query=hints.get("query"),
        path=path,
        takes=takes,
        answers=tuple(_answer_of(returns, status) for returns in _alternatives(hints["return"])),
    )


def needs_body(model: type[BaseModel]) -> bool:
    """Whether a request must have a body: not if an empty object is one."""
    try:
        model.model_validate_json(b"{}")
    except ValidationError:
        return True
    return False


def _alternatives(returns: Any) -> tuple[Any, ...]:
    # Of classes alone ``|`` makes a UnionType; with ``Document[...]`` among them, a Union.
    return get_args(returns) if get_origin(returns) in (types.UnionType, Union) else (returns,)


STATUSES = {Accepted: 202, None: 204, types.NoneType: 204, SignedOut: 204, Departure: 302, Arrival: 302, Elsewhere: 302}
"""Kinds of answers that say by themselves what they are answered with."""


def _answer_of(returns: Any, status: int) -> Answer:
    """``Page[Application]`` is a page of applications, ``SignedIn`` is told in the shape of Tokens."""
    kind, model = returns, None
    if get_origin(returns) in (Document, Page):
        kind, model = get_origin(returns), get_args(returns)[0]
    elif returns is SignedIn:
        model = Tokens
    elif returns is LinkBegun:
        model = Authorization
    elif isinstance(returns, type) and issubclass(returns, BaseModel):
        model = returns
    return Answer(STATUSES.get(kind, status), kind, model)
