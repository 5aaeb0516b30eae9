"""Tables in files, as programs write them: in whatever encoding, with whatever between their cells."""

import base64
import binascii
import codecs
import csv
import io
import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from shared.errors import ValidationFailed

MAX_ROWS = 1_000
"""Rows of one import: they are written in one statement, which may take eight seconds."""

MAX_COLUMNS = 200
MAX_CELL = 10 * 1024 * 1024
"""Characters. The module's own limit, which is one for the whole process, is less than one long history needs."""

DELIMITERS = (",", ";", "\t", "|")
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
BOMS = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. ``number`` is its place in the file as a spreadsheet counts; the heading's is 1."""

    number: int
    cells: list[str]


@dataclass(frozen=True, slots=True)
class Table:
    columns: list[str]
    rows: list[Row]
    delimiter: str | None


def decoded(content: str, *, encoding: str | None) -> tuple[str, str]:
    """The text of a file given in base64, and the encoding it was taken for.

    Raises:
        ValidationFailed: no base64, or not in ``encoding``.
    """
    try:
        data = base64.b64decode(content.encode(), validate=True)
    except (binascii.Error, ValueError):
        raise ValidationFailed.of("content_base64", "base64", "must be base64") from None
    for codec, bom in BOMS.items():
        if data.startswith(bom) and encoding in (None, codec):
            return _decode(data[len(bom) :], codec), codec
    if encoding:
        return _decode(data, encoding), encoding
    try:
        return data.decode(), "utf-8"
    except UnicodeDecodeError:
        # Five of its bytes mean nothing: they are kept as the control characters that they are elsewhere.
        return data.decode("cp1252", errors="c1"), "windows-1252"


def _c1(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(map(chr, error.object[error.start : error.end])), error.end


codecs.register_error("c1", _c1)


def _decode(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise ValidationFailed.of("content_base64", "encoding", f"is not {encoding}") from None


def read_csv(text: str, *, delimiter: str | None) -> Table:
    """The rows of a CSV file (RFC 4180, and what is not quite that), without those that are empty.

    Raises:
        ValidationFailed: there is no heading, a quote is never closed, or there is too much of it.
    """
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        raise _wrong("nul_character", "must not contain NUL characters")
    offset = 0
    if match := re.match(r"(?i)\"?sep=(.)\"?(\r\n|\r|\n)", text):  # Excel's own hint
        delimiter = delimiter or match[1]
        text, offset = text[match.end() :], 1
    delimiter = delimiter or _delimiter(text)
    csv.field_size_limit(MAX_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns: list[str] = []
    rows: list[Row] = []
    number = offset
    try:
        for cells in reader:
            number += 1
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = _columns(cells)
                continue
            if len(rows) == MAX_ROWS:
                raise _wrong("too_many_rows", f"must have at most {MAX_ROWS} rows: split the file, heading and all")
            rows.append(Row(number, cells))
    except csv.Error as fault:
        raise _wrong("csv", f"is no CSV near row {number + 1}: {fault}") from None
    if not columns:
        raise _wrong("no_heading", "must have a first row with the names of the columns")
    return Table(columns, rows, NAMES.get(delimiter, delimiter))


def _wrong(code: str, message: str) -> ValidationFailed:
    return ValidationFailed.of("content", code, message)


def _columns(cells: list[str]) -> list[str]:
    while cells and not cells[-1].strip():
        cells = cells[:-1]
    if len(cells) > MAX_COLUMNS:
        raise _wrong("too_many_columns", f"must have at most {MAX_COLUMNS} columns")
    names = [cell.strip()[:200] or f"Column {n}" for n, cell in enumerate(cells, start=1)]
    seen: Counter[str] = Counter()
    for n, name in enumerate(names):
        seen[name] += 1
        if seen[name] > 1:
            names[n] = f"{name} ({seen[name]})"
    return names


def _delimiter(text: str) -> str:
    """What stands between the headings, outside of quotes."""
    first = next((line for line in text[:65_536].splitlines() if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", first)
    return max(DELIMITERS, key=bare.count)


def parse_json(text: str) -> Any:
    """What a JSON file says.

    Raises:
        ValidationFailed: it is none.
    """

    def no_constant(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    try:
        return json.loads(text.removeprefix("\ufeff"), parse_constant=no_constant)
    except (ValueError, RecursionError):
        raise _wrong("json", "is no JSON") from None


def table_of(objects: list[Any]) -> Table:
    """A list of flat objects, as some trackers export it, as a table.

    Raises:
        ValidationFailed: it is something else, or too much of it.
    """
    if not all(isinstance(each, dict) for each in objects):
        raise _wrong("json", "must be an export of Jobtrail's, or a list of objects")
    if len(objects) > MAX_ROWS:
        raise _wrong("too_many_rows", f"must have at most {MAX_ROWS} rows: split the file")
    names = list(dict.fromkeys(str(name) for each in objects for name in each))
    if len(names) > MAX_COLUMNS:
        raise _wrong("too_many_columns", f"must have at most {MAX_COLUMNS} columns")
    rows = [Row(n, [_cell(each.get(name)) for name in names]) for n, each in enumerate(objects, start=1)]
    return Table(names, rows, None)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
