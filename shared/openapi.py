"""The OpenAPI 3.1 document, from the declarations that also run: there is nothing here to keep in step."""

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from shared import VERSION, errors
from shared.access import FRESH_SECONDS
from shared.documents import Document, Page
from shared.errors import Problem
from shared.fields import Accepted, Contents, Elsewhere, PlainText, Svg, WebPage
from shared.files import inspection
from shared.http import MAX_KEY, REFRESH_COOKIE, Answer, Calendar, Csv, Endpoint, Html, Json, Zip, needs_body
from shared.identities import Arrival, Departure, LinkBegun
from shared.routes import App, Route
from shared.security import personal_access_tokens
from shared.sessions import SignedIn, SignedOut
from shared.tokens import SCOPES

Mode = Literal["validation", "serialization"]
Schema = dict[str, Any]

PATTERN = personal_access_tokens.PATTERN.pattern

DESCRIPTION = f"""\
The backend of a job hunt: accounts and sessions, job applications, and quotas.

JSON is snake_case, times are RFC 3339 in UTC, ids are UUIDs, and money is in minor units with an ISO 4217 code.

**Signing in.** `POST /api/auth/register` or `/api/auth/login` gives an access token, good for minutes, which goes into
`Authorization: Bearer`; and a refresh token, which `POST /api/auth/refresh` exchanges for the next pair, once. With
`"transport": "cookie"` the refresh token travels in the cookie `{REFRESH_COOKIE}` instead, and the page's origin must
be among those allowed. Where the account has a second factor, login answers `mfa_required` and a challenge, which
`POST /api/auth/login/mfa` exchanges for tokens. Some operations ask for a proof of who is calling within the last ten
minutes, which `POST /api/auth/reauthenticate` gives.

**For a program of one's own**, `POST /api/tokens` makes a personal access token, which goes into the same header until
it expires or is revoked. It may do what its scopes say: an operation that takes one lists the scheme `token` and the
scope it needs, and a scope to act on something includes the one to read it. Everything else (passwords, sessions,
tokens, administration) takes a session, and answers 403 `session_required` to a token. Tokens match `{PATTERN}`.

**When something is refused**, the answer is a problem (RFC 9457): its `code` never changes, its `request_id` is that of
`X-Request-Id`.
"""

PROBLEM: Schema = {
    "type": "object",
    "title": "Problem",
    "description": "Why a request was refused (RFC 9457).",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "For programs; never changes."},
        "detail": {"type": "string", "description": "For people."},
        "request_id": {"type": "string", "description": "The same as X-Request-Id."},
        "errors": {
            "type": "array",
            "description": "Which fields are at fault, when validation failed. The input is not repeated.",
            "items": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("field", "code", "message")},
                "required": ["field", "code", "message"],
            },
        },
    },
    "required": ["type", "title", "status", "code", "detail", "request_id"],
}

# The headers that problems come with, by the headers themselves being what their classes say.
PROBLEM_HEADERS = {
    401: {"WWW-Authenticate": "Bearer; with `error` where a token was given (RFC 6750)."},
    403: {"WWW-Authenticate": "Bearer, with `error` and the `scope` needed, for a personal access token (RFC 6750)."},
    405: {"Allow": "The methods this path has."},
    429: {
        "Retry-After": "Seconds until it is worth trying again, where waiting helps.",
        "RateLimit-Policy": "The limit that was met.",
        "RateLimit": "What remains of it: nothing.",
    },
    503: {"Retry-After": "Seconds until it is worth trying again."},
}

# Kinds of answers that no model describes: what they are, and of which type.
OTHER_MEDIA: dict[Any, tuple[str, str]] = {
    Json: (Json.media_type, "object"),
    Html: (Html.media_type, "string"),
    Zip: (Zip.media_type, "string"),
    Calendar: (Calendar.media_type, "string"),
    Csv: (Csv.media_type, "string"),
    PlainText: ("text/plain", "string"),
    WebPage: (Html.media_type, "string"),
    Svg: (Svg.media_type, "string"),
}


@lru_cache(maxsize=1)
def document(app: App) -> Json:
    """The whole document, made at the first request for it."""
    return Json(json.dumps(describe(app.routes), ensure_ascii=False).encode())


@lru_cache(maxsize=1)
def reference() -> Html:
    """The page that shows the document. Its one script is named by digest, so that no other can run."""
    page = Path(__file__).with_name("reference.html").read_bytes()
    script = re.search(rb"<script>(.*?)</script>", page, re.DOTALL)
    digest = b64encode(hashlib.sha256(script[1] if script else b"").digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Html(page, headers={"Content-Security-Policy": policy})


def describe(routes: Iterable[Route]) -> Schema:
    """The document as a dict."""
    from pydantic.json_schema import models_json_schema  # not at start: only this function needs it

    routes = list(routes)
    models = sorted(_models(routes), key=lambda pair: (pair[0].__name__, pair[1]))
    refs: Any
    refs, definitions = models_json_schema(models, ref_template="#/components/schemas/{model}")
    paths: dict[str, Schema] = {}
    for route in sorted(routes, key=lambda route: route.path):
        for method in route.methods:
            paths.setdefault(route.path, {})[method.lower()] = _operation(route, method, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Jobtrail API", "version": VERSION, "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {"Problem": PROBLEM, **definitions.get("$defs", {})},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "jtp_",
                    "description": _scopes(),
                },
                "cookie": {"type": "apiKey", "in": "cookie", "name": REFRESH_COOKIE},
            },
        },
    }


def problems_of(endpoint: Endpoint) -> list[type[Problem]]:
    """Every Problem a caller may meet here: those of what the endpoint takes, and those its feature raises."""
    found: list[type[Problem]] = [errors.ValidationFailed, errors.Unexpected]
    if endpoint.access.needs_caller:
        found += [errors.Unauthorized, errors.InvalidToken, errors.SessionEnded]
        if endpoint.access.takes_tokens:
            found += [errors.TokenExpired, errors.TokenRevoked]
        else:
            found.append(errors.SessionRequired)
    if endpoint.access.scope:
        found.append(errors.InsufficientScope)
    if endpoint.access.is_fresh:
        found.append(errors.ReauthenticationRequired)
    if endpoint.access.role:
        found.append(errors.Forbidden)
    if endpoint.access.needs_caller or endpoint.body:
        found.append(errors.DatabaseUnavailable)
    if "bearer" in endpoint.accepts:
        found += [errors.InvalidToken, errors.SessionRequired]
    if "cookie" in endpoint.accepts:
        found.append(errors.OriginNotAllowed)
    if endpoint.body:
        found += [errors.MalformedJson, errors.BodyTooLarge, errors.UnsupportedMediaType]
    if endpoint.form:
        found += [errors.MalformedForm, errors.FileTooLarge, errors.FormExpected]
    if "content" in endpoint.takes:
        found.append(errors.FileTooLarge)
    if endpoint.path:
        found.append(errors.NotFound)
    if "versions" in endpoint.takes:
        found.append(errors.StaleVersion)
    if "retry" in endpoint.takes:
        found += [errors.IdempotencyInFlight, errors.IdempotencyKeyReused]
    return list(dict.fromkeys([*found, *endpoint.raises]))


def _models(routes: Iterable[Route]) -> set[tuple[type[BaseModel], Mode]]:
    models: set[tuple[type[BaseModel], Mode]] = set()
    for route in routes:
        if route.endpoint.body:
            models.add((route.endpoint.body, "validation"))
        models.update((answer.model, "serialization") for answer in route.endpoint.answers if answer.model)
    return models


def _operation(route: Route, method: str, refs: Mapping[tuple[type[BaseModel], Mode], Schema]) -> Schema:
    endpoint = route.endpoint
    operation: Schema = {
        "operationId": route.name,
        "summary": endpoint.summary.removesuffix("."),
        "tags": [_tag(route.path)],
        "security": _security(endpoint),
        "parameters": [
            *_path_parameters(endpoint),
            *_query_parameters(endpoint),
            *_header_parameters(endpoint, method),
        ],
        "responses": {**_success(endpoint, method, refs), **_refusals(endpoint)},
    }
    if endpoint.description:
        operation["description"] = endpoint.description
    if whom := _whom(endpoint):
        operation["description"] = f"{whom} {operation.get('description', '')}".strip()
    if endpoint.body:
        operation["requestBody"] = {
            "required": needs_body(endpoint.body),
            "content": {"application/json": {"schema": refs[endpoint.body, "validation"]}},
        }
    if endpoint.form:
        # A file is no JSON, so no model has it; and what a form may hold besides must be said in the same schema.
        form = endpoint.form.model_json_schema()
        form["properties"] = {"file": {"type": "string", "format": "binary"}, **form["properties"]}
        form["required"] = ["file", *form.get("required", ())]
        operation["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": form}}}
    if "content" in endpoint.takes:
        operation["requestBody"] = {"required": True, "content": {"application/octet-stream": {"schema": {}}}}
    return operation


def _whom(endpoint: Endpoint) -> str:
    """Who may call it, as far as a security scheme cannot say."""
    sentences = []
    if endpoint.access.role:
        sentences.append(f"For the role `{endpoint.access.role}` only.")
    if endpoint.access.scope:
        sentences.append(f"In a session, or with a personal access token that has the scope `{endpoint.access.scope}`.")
    elif endpoint.access.takes_tokens:
        sentences.append("In a session, or with any personal access token.")
    if endpoint.access.is_fresh:
        sentences.append(f"For callers who proved who they are within the last {FRESH_SECONDS // 60} minutes.")
    return " ".join(sentences)


def _scopes() -> str:
    """What a personal access token may be allowed."""
    return "\n".join(
        ["A personal access token, with these scopes:", "", *(f"- `{name}`: {what}" for name, what in SCOPES.items())]
    )


def _tag(path: str) -> str:
    parts = [part for part in path.split("/") if part]
    if parts[:2] in (["api", "openapi.json"], ["api", "docs"]):
        return "reference"
    return parts[1] if parts[0] == "api" else parts[0].removeprefix(".").replace("well-known", "auth")


def _security(endpoint: Endpoint) -> list[Schema]:
    if endpoint.access.takes_tokens:
        return [{"bearer": []}, {"token": [endpoint.access.scope] if endpoint.access.scope else []}]
    if endpoint.access.needs_caller:
        return [{"bearer": []}]
    return [{}, *({name: []} for name in endpoint.accepts)] if endpoint.accepts else []


def _path_parameters(endpoint: Endpoint) -> list[Schema]:
    kinds: dict[type, Schema] = {UUID: {"type": "string", "format": "uuid"}, str: {"type": "string", "minLength": 1}}
    return [
        {"name": name, "in": "path", "required": True, "schema": kinds[kind]} for name, kind in endpoint.path.items()
    ]


def _query_parameters(endpoint: Endpoint) -> list[Schema]:
    if endpoint.query is None:
        return []
    schema = endpoint.query.model_json_schema()
    parameters = []
    for name, field in schema["properties"].items():
        is_required = name in schema.get("required", ())
        kinds = [kind for kind in field.pop("anyOf", ()) if kind.get("type") != "null"]
        field = {key: value for key, value in field.items() if key != "default" or value is not None}
        parameter: Schema = {"name": name, "in": "query", "required": is_required}
        if description := field.pop("description", None):
            parameter["description"] = description
        parameter["schema"] = {**field, **(kinds[0] if kinds else {})}
        if parameter["schema"].get("type") == "array":
            parameter |= {"style": "form", "explode": False}
        parameters.append(parameter)
    return parameters


def _header_parameters(endpoint: Endpoint, method: str) -> list[Schema]:
    headers: dict[str, tuple[str, Schema]] = {
        "X-Request-Id": ("Names this request in logs and problems.", {"pattern": "^[A-Za-z0-9-]{8,64}$"})
    }
    if "retry" in endpoint.takes:
        headers["Idempotency-Key"] = (
            "The same key with the same body within 24 hours gets the first answer again and makes nothing new.",
            {"minLength": 1, "maxLength": MAX_KEY},
        )
    if "versions" in endpoint.takes:
        headers["If-Match"] = ("The `ETag` of what you read: refused with 412 if it has moved on.", {})
    if method == "GET" and _is_tagged(endpoint):
        headers["If-None-Match"] = ("The `ETag` of what you have: 304 if it is still that.", {})
    return [
        {
            "name": name,
            "in": "header",
            "required": False,
            "description": description,
            "schema": {"type": "string"} | schema,
        }
        for name, (description, schema) in headers.items()
    ]


def _success(endpoint: Endpoint, method: str, refs: Mapping[tuple[type[BaseModel], Mode], Schema]) -> dict[str, Schema]:
    by_status: dict[int, list[Answer]] = {}
    for answer in endpoint.answers:
        by_status.setdefault(answer.status, []).append(answer)
    responses = {str(status): _response(endpoint, answers, refs) for status, answers in by_status.items()}
    if method == "GET" and _is_tagged(endpoint):
        unchanged = {"X-Request-Id": "Names this request in logs.", "ETag": "The version you have."}
        responses["304"] = {"description": "It is still what you have.", "headers": _headers(unchanged)}
    return responses


def _response(endpoint: Endpoint, answers: list[Answer], refs: Mapping[tuple[type[BaseModel], Mode], Schema]) -> Schema:
    kinds = {answer.kind for answer in answers}
    headers = {"X-Request-Id": "Names this request in logs."}
    if _is_versioned(endpoint):
        headers["ETag"] = "The version, for `If-Match` and `If-None-Match`."
    elif _is_tagged(endpoint):
        headers["ETag"] = "For `If-None-Match`."
    if endpoint.location:
        headers["Location"] = "Where what was made is."
    if kinds & {Departure, Arrival, Elsewhere}:
        headers["Location"] = "Where to go."
    if kinds & {Departure, LinkBegun}:
        headers["Set-Cookie"] = "What this browser is known by when it comes back from the provider."
    if "retry" in endpoint.takes:
        headers["Idempotency-Replayed"] = "`true`: this answer was given before."
    if kinds & {SignedIn, SignedOut, Arrival}:
        headers["Set-Cookie"] = "The refresh cookie, when it travels that way; after a sign-in, the device cookie."
    description = "It was taken; nothing more is told." if kinds == {Accepted} else endpoint.summary
    response: Schema = {"description": description, "headers": _headers(headers)}
    schemas = [_shown(answer, refs[answer.model, "serialization"]) for answer in answers if answer.model]
    if schemas:
        schema = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
        response["content"] = {"application/json": {"schema": schema}}
    if Contents in kinds:
        headers["Content-Disposition"] = "An attachment, with its name (RFC 6266)."
        response["content"] = {kind: {"schema": {"type": "string"}} for kind in inspection.EXTENSIONS}
    for kind in kinds & OTHER_MEDIA.keys():
        media_type, schema_type = OTHER_MEDIA[kind]
        response.setdefault("content", {})[media_type] = {"schema": {"type": schema_type}}
    return response


def _shown(answer: Answer, schema: Schema) -> Schema:
    if answer.kind is not Page:
        return schema
    return {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": schema},
            "next_cursor": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["items", "next_cursor"],
    }


def _refusals(endpoint: Endpoint) -> dict[str, Schema]:
    by_status: dict[int, list[type[Problem]]] = {}
    for problem in problems_of(endpoint):
        by_status.setdefault(problem.status.value, []).append(problem)
    return {
        str(status): {
            "description": "\n".join(f"`{problem.code}`: {problem.title}." for problem in problems),
            "headers": _headers({"X-Request-Id": "Names this request in logs."} | PROBLEM_HEADERS.get(status, {})),
            "content": {
                "application/problem+json": {
                    "schema": {
                        "allOf": [{"$ref": "#/components/schemas/Problem"}],
                        "properties": {
                            "status": {"const": status},
                            "code": {"enum": sorted(problem.code for problem in problems)},
                        },
                    }
                }
            },
        }
        for status, problems in sorted(by_status.items())
    }


def _headers(described: Mapping[str, str]) -> Schema:
    return {
        name: {"description": text, "required": name == "X-Request-Id", "schema": {"type": "string"}}
        for name, text in described.items()
    }


def _is_versioned(endpoint: Endpoint) -> bool:
    return any(
        answer.kind is Document and answer.model is not None and "version" in answer.model.model_fields
        for answer in endpoint.answers
    )


def _is_tagged(endpoint: Endpoint) -> bool:
    return _is_versioned(endpoint) or any(answer.kind is Calendar for answer in endpoint.answers)
