"""What the database holds of people: each feature declares its tables, and a copy of them, and their end, follow."""

from dataclasses import dataclass
from typing import LiteralString


@dataclass(frozen=True, slots=True)
class Holding:
    """A table with rows of people (``user_id``), or the people themselves.

    Whoever asks for a copy of what is theirs gets ``shown`` of every row of theirs; when they leave, every row goes. A
    table that shows nothing says ``why_not``.
    """

    table: LiteralString
    shown: tuple[LiteralString, ...] = ()
    why_not: str | None = None

    def __post_init__(self) -> None:
        if bool(self.shown) == bool(self.why_not):
            raise ValueError(f"{self.table}: say either what a copy shows, or why it shows nothing")
