"""What a field may hold: the types that requests are made of."""

import re
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints
from pydantic_core import PydanticCustomError


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise PydanticCustomError("nul_character", "must not contain NUL characters")
    return text


Storable = Annotated[str, AfterValidator(_no_nul), Field(json_schema_extra={"pattern": r"^[^\x00]*$"})]
"""Text as PostgreSQL can hold it: every character but one."""


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


class Response(BaseModel):
    """What a caller gets back."""

    model_config = ConfigDict(frozen=True, defer_build=True)


UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")


def _web_address(text: str) -> str:
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound or UNPRINTABLE.search(text):
        raise PydanticCustomError("url", "must be an http or https address")
    return text


def _email(text: str) -> str:
    from email_validator import EmailNotValidError, validate_email  # not at start: only registration needs it

    try:
        return validate_email(text, check_deliverability=False, allow_smtputf8=True).normalized.lower()
    except EmailNotValidError:
        raise PydanticCustomError("email", "must be an e-mail address") from None


def _time_zone(name: str) -> str:
    from zoneinfo import ZoneInfo  # not at start: only a change of profile needs it

    try:
        return ZoneInfo(name).key
    except (ValueError, OSError, KeyError):
        raise PydanticCustomError("time_zone", "must be an IANA time zone, such as Europe/Berlin") from None


Name = Annotated[Storable, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
"""One line that somebody or something is called by."""

Prose = Annotated[Storable, StringConstraints(max_length=20_000)]
"""As much as anybody wants to say, kept to the letter."""

Token = Annotated[str, StringConstraints(min_length=1, max_length=4096)]

Password = Annotated[Storable, StringConstraints(min_length=1, max_length=1024)]
"""A password somebody claims to have. What a new one must be is the accounts' business."""

EmailLike = Annotated[Storable, StringConstraints(strip_whitespace=True, min_length=1, max_length=320)]
"""Whatever somebody claims is an address: looked up, never written to."""

Email = Annotated[EmailLike, AfterValidator(_email), Field(json_schema_extra={"format": "email"})]

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

TimeZone = Annotated[str, StringConstraints(max_length=64), AfterValidator(_time_zone)]

Key = Annotated[Storable, StringConstraints(min_length=1, max_length=128)]
"""What a caller names an attempt by, so that its repetition is recognised."""
