"""Exports: for a spreadsheet, or whole."""

import io
import json
from collections.abc import Iterable
from typing import Any

from shared.transfer import cells, history

FORMAT, VERSION = "jobtrail-applications", 1
"""What a JSON export says of itself."""

COLUMNS = (
    *("id", "company", "position", "location", "workplace", "url", "source", "priority", "tags", "status", "stage"),
    *("round", "round_name", "close_reason", "salary_min", "salary_max", "salary_currency", "salary_period"),
    *("applied_on", "deadline", "follow_up_at", "notes", "created_at", "updated_at", "history"),
)


def as_csv(rows: Iterable[tuple[str]]) -> bytes:
    """Applications as RFC 4180 has them, with a byte order mark, without which Excel takes UTF-8 for something else."""
    import csv  # few requests need it

    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for (document,) in rows:
        row = json.loads(document)
        currency = row["salary_currency"]
        for name in ("salary_min", "salary_max"):
            if row[name] is not None:
                row[name] = cells.in_units(row[name], currency)
        row["tags"] = json.dumps(row["tags"], ensure_ascii=False) if row["tags"] else None
        row["history"] = history.written(row["history"])
        writer.writerow([_cell(row[name]) for name in COLUMNS])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def _cell(value: Any) -> str:
    return "" if value is None else cells.neutralised(str(value))


def as_json(rows: Iterable[tuple[str]], *, stages: str, made_at: str) -> bytes:
    """Everything, as it stands in the database. Nothing is decoded only to be encoded again."""
    head = json.dumps({"format": FORMAT, "version": VERSION, "exported_at": made_at})[:-1]
    body = ",\n".join(document for (document,) in rows)
    return f'{head}, "stages": {stages}, "applications": [\n{body}\n]}}\n'.encode()
