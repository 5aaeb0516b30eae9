"""What a field may hold: the types that requests are made of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    StringConstraints,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue


class _NoNul:
    """PostgreSQL's text holds every character but one. To stand last, after what trims and measures the text."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(_no_nul, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> "JsonSchemaValue":
        return handler(schema) | {"pattern": r"^[^\x00]*$"}


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise PydanticCustomError("nul_character", "must not contain NUL characters")
    return text


NO_NUL = _NoNul()


class Request(BaseModel):
    """A body: JSON types as they are (no "1" for 1), and no field that we do not know."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


def _without_defaults(schema: dict[str, Any]) -> None:
    for field in schema["properties"].values():
        field.pop("default", None)


class Changes(Request):
    """A body of which what is left out stays as it is: its fields' defaults are never used, and not documented."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)


class Query(BaseModel):
    """A query string: everything arrives as text. An unknown parameter is an error, not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class PageQuery(Query):
    """Which part of a list is asked for."""

    limit: int = Field(20, ge=1, le=100, description="How many at most.")
    cursor: Annotated[str, StringConstraints(max_length=2048)] | None = Field(
        None, description="`next_cursor` of the page before."
    )


class Response(BaseModel):
    """What a caller gets back."""

    model_config = ConfigDict(frozen=True, defer_build=True)


@dataclass(frozen=True, slots=True)
class Accepted:
    """It will be done, or not; the caller is told nothing more (202)."""


@dataclass(frozen=True, slots=True)
class PlainText:
    """An answer that is text as it stands, for programs that read no JSON."""

    text: str
    media_type: str = "text/plain"


@dataclass(frozen=True, slots=True)
class WebPage:
    """An answer that is a page for people."""

    html: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Svg:
    """An answer that is a drawing."""

    text: str
    media_type: ClassVar[str] = "image/svg+xml"


Form = TypeVar("Form", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Upload(Generic[Form]):
    """A file that came as ``multipart/form-data``: its bytes, the name it came with, and what was said of it."""

    content: bytes
    name: str
    fields: Form


@dataclass(frozen=True, slots=True)
class Contents:
    """An answer that is a file."""

    content: bytes
    media_type: str
    disposition: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An answer that is at another address, which nobody but the caller may learn."""

    location: str


def _web_address(text: str) -> str:
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound or " " in text or not text.isprintable():
        raise PydanticCustomError("url", "must be an http or https address")
    return text


def _day(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    if value is None:
        return value
    # Left alone, pydantic would also take seconds since 1970.
    raise PydanticCustomError("date", "must be a day such as 2026-11-20")


INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _instant(value: object) -> object:
    # Left alone, pydantic would also take seconds since 1970, and times of no zone.
    if value is None or isinstance(value, datetime):
        return value
    if isinstance(value, str) and INSTANT.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper())
        except ValueError:
            pass
    raise PydanticCustomError("instant", "must be a time with its offset, such as 2026-11-20T09:00:00+01:00")


def _in_calendars(value: datetime) -> datetime:
    if not 1900 <= value.year <= 2200:
        raise PydanticCustomError("instant", "must be between the years 1900 and 2200")
    return value


def _email(text: str) -> str:
    normalized = _normalized_email(text)
    if normalized is None:
        raise PydanticCustomError("email", "must be an e-mail address")
    return normalized


def _email_like(text: str) -> str:
    return _normalized_email(text) or text.lower()


def _normalized_email(text: str) -> str | None:
    """One spelling for each address, however it is typed; None when it is none."""
    from email_validator import EmailNotValidError, validate_email  # not at start: few functions need it

    try:
        return validate_email(text, check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        return None


def _time_zone(name: str) -> str:
    from zoneinfo import ZoneInfo  # not at start: only a change of profile needs it

    try:
        return ZoneInfo(name).key
    except (ValueError, OSError, KeyError):
        raise PydanticCustomError("time_zone", "must be an IANA time zone, such as Europe/Berlin") from None


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), NO_NUL]
"""One line that somebody or something is called by."""

Prose = Annotated[str, StringConstraints(max_length=20_000), NO_NUL]
"""As much as anybody wants to say, kept to the letter."""

Token = Annotated[str, StringConstraints(min_length=1)]

Password = Annotated[str, StringConstraints(min_length=1, max_length=1024), NO_NUL]
"""A password somebody claims to have. What a new one must be is the accounts' business."""

_Address = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=320), NO_NUL]

Email = Annotated[_Address, AfterValidator(_email), Field(json_schema_extra={"format": "email"})]

EmailLike = Annotated[_Address, AfterValidator(_email_like)]
"""Whatever somebody claims is an address: looked up, never written to."""

WebAddress = Annotated[
    str,
    StringConstraints(max_length=2048),
    AfterValidator(_web_address),
    Field(json_schema_extra={"format": "uri", "pattern": "^https?://"}),
]
"""An http or https address, kept to the letter."""

Moment = Annotated[
    datetime,
    PlainSerializer(datetime.isoformat, return_type=str),
    Field(json_schema_extra={"format": "date-time"}),
]
"""RFC 3339 in UTC, written as PostgreSQL writes it."""

Day = Annotated[date, BeforeValidator(_day)]
"""A day of the calendar, as RFC 3339 writes it and no other way: 2026-11-20."""

Instant = Annotated[AwareDatetime, BeforeValidator(_instant), AfterValidator(_in_calendars)]
"""A moment as a caller gives it: RFC 3339, with an offset."""

TimeZone = Annotated[str, StringConstraints(max_length=64), AfterValidator(_time_zone)]

SEVERAL = BeforeValidator(lambda value: value.split(",") if isinstance(value, str) else value)
"""In a query: comma-separated."""

Key = Annotated[str, StringConstraints(min_length=1, max_length=128), NO_NUL]
"""What a caller names an attempt by, so that its repetition is recognised."""
