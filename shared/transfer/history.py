"""An application's way through the stages in one cell: a line for each step, its parts between bars.

    2026-11-02T09:00:00+00:00 | moved | applied | Applied | 1 | First round | | They answered at once.

That is when, the kind of the event, the status that stands for the stage, the stage's name, the round and its name, the
reason for closing, and a note. Where a part has a bar, a backslash or the end of a line in it, these are ``\\p``,
``\\\\``, ``\\n`` and ``\\r``; empty parts at the end are left out.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

PARTS = ("occurred_at", "kind", "status", "name", "round", "round_name", "reason", "note")
ESCAPES = {"\\": "\\\\", "|": "\\p", "\n": "\\n", "\r": "\\r"}
UNESCAPES = {escape: character for character, escape in ESCAPES.items()}


def written(steps: Iterable[Mapping[str, Any]]) -> str:
    return "\n".join(_line([step[part] for part in PARTS]) for step in steps)


def _line(parts: list[Any]) -> str:
    texts = ["" if part is None else re.sub(r"[\\|\n\r]", lambda m: ESCAPES[m[0]], str(part)) for part in parts]
    while not texts[-1]:
        texts.pop()
    return " | ".join(texts)


def read(cell: str) -> list[dict[str, Any]]:
    """The steps of a cell, as texts.

    Raises:
        ValueError: it is not how we write it.
    """
    steps = []
    for line in re.split(r"\r\n|\r|\n", cell):
        texts = line.split(" | ")
        if not line:
            continue
        if not 4 <= len(texts) <= len(PARTS) or texts[1] not in ("created", "moved"):
            raise ValueError("not a history")
        texts += [""] * (len(PARTS) - len(texts))
        steps.append({part: _part(text) for part, text in zip(PARTS, texts, strict=True)})
    if not steps:
        raise ValueError("not a history")
    return steps


def _part(text: str) -> str | None:
    return re.sub(r"\\[\\pnr]", lambda m: UNESCAPES[m[0]], text) or None
