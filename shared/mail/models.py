"""What mail is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

Fact = str | int | datetime | list[str]


@dataclass(frozen=True, slots=True)
class Link:
    """A page of the front end, under APP_URL. ``label`` says what following it is for."""

    path: str
    label: str


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of message. ``{names}`` in its paragraphs, and its link's token, are the facts it needs."""

    subject: str
    paragraphs: tuple[str, ...]
    link: Link | None = None
    has_token: bool = False
    lines: str | None = None
    """A fact that is a list of texts: they stand after the first paragraph, each a line of its own."""

    life: timedelta = timedelta(days=7)
    """How long after its posting there is a point in sending it."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that was leased from the outbox: this process is the one that sends it, for now."""

    id: UUID
    attempt: int
    recipient: str
    template: str
    sealed: bytes
    facts: Mapping[str, Any]
    age: timedelta
    first_sent_at: datetime


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message as people will read it, and ``id`` by which a second copy can be told to be one."""

    id: UUID
    recipient: str
    subject: str
    text: str
    html: str
    first_sent_at: datetime
    """When the attempts began that a provider is to take for one request."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt. ``delay`` (seconds) is for a message that stays queued."""

    state: Literal["queued", "sent", "dead"]
    error: str | None = None
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one run did; ``retry_in``: seconds until the first message that it postponed is due again."""

    sent: int
    postponed: int
    dead: int
    retry_in: float | None
