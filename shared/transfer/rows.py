"""From the rows of a file to applications: what is certain becomes a field, everything else stays in the notes."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, get_args
from uuid import UUID

from pydantic import ValidationError

from shared import db
from shared.applications import ApplicationDraft
from shared.applications.models import Period
from shared.errors import ValidationFailed
from shared.transfer import cells, history, tables, words
from shared.transfer.models import FiledApplication, FiledEvent, FiledStage, Format, ImportRequest
from shared.transfer.tables import Row, Table
from shared.transfer.writing import COLUMNS, FORMAT, VERSION

FIELDS = tuple(name for name in ApplicationDraft.model_fields if name not in ("status", "stage_id"))
"""The columns of an application that do not follow from its timeline."""

DAYS = ("applied_on", "deadline", "saved_on", "changed_on")
MANY = ("notes", "tags")
"""Fields that several columns may fill."""

MAX_THINGS = 10_000
"""Events, notes, tasks, interviews and contacts that one import may bring along."""

REASONS = {"rejected": "rejected", "ghosted": "ghosted", "withdrawn": "withdrew"}

Fault = dict[str, str]
Item = dict[str, Any]


@dataclass(slots=True)
class Reading:
    """What a file was found to say."""

    format: Format
    encoding: str
    delimiter: str | None = None
    mapping: dict[str, str | None] = field(default_factory=dict)
    rows: int = 0
    items: list[Item] = field(default_factory=list)
    errors: dict[int, list[Fault]] = field(default_factory=dict)
    warnings: dict[int, list[Fault]] = field(default_factory=dict)


class Unreadable(Exception):
    """Carries the faults of one row."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__()
        self.faults = list(faults)


def _fault(name: str, code: str, message: str) -> Fault:
    return {"field": name, "code": code, "message": message}


def read(request: ImportRequest) -> Reading:
    """Everything that a file says, row by row.

    Raises:
        ValidationFailed: the file as a whole cannot be read.
    """
    if request.content_base64 is not None:
        text, encoding = tables.decoded(request.content_base64, encoding=request.encoding)
    else:
        text, encoding = request.content or "", "utf-8"
    begins = text.lstrip("\ufeff \t\r\n")[:1]
    kind: Format = request.format or ("json" if begins in ("{", "[") else "csv")
    reading = Reading(kind, encoding)
    if kind == "csv":
        _read_table(tables.read_csv(text, delimiter=request.delimiter), request, reading)
    else:
        parsed = tables.parse_json(text)
        if isinstance(parsed, list):
            _read_table(tables.table_of(parsed), request, reading)
        else:
            _read_own(parsed, reading)
    for item, item_id in zip(reading.items, sorted(str(db.uuid7()) for _ in reading.items), strict=True):
        item["id"] = item_id  # in the order of the file, in which lists then show them
    return reading


def _take(reading: Reading, number: int, make: Any) -> None:
    """Make a row's item, or keep why there is none."""
    reading.rows += 1
    warnings: list[Fault] = []
    try:
        item = make(warnings)
        reading.items.append(_sealed(item, number))
    except Unreadable as unreadable:
        reading.errors[number] = unreadable.faults
    except ValidationError as invalid:
        reading.errors[number] = [
            _fault(".".join(str(part)[:100] for part in fault["loc"]), fault["type"], fault["msg"])
            for fault in invalid.errors(include_url=False, include_input=False)[:20]
        ]
    if warnings:
        reading.warnings[number] = warnings


def _sealed(item: Item, number: int) -> Item:
    """The item with its key, and nothing in it that PostgreSQL could not hold."""
    fields = item["fields"]
    if fields["salary_currency"] is None and not fields["salary_min"] is fields["salary_max"] is None:
        raise Unreadable(_fault("salary_currency", "value_error", "is needed with an amount"))
    if None not in (low := fields["salary_min"], high := fields["salary_max"]) and low > high:
        raise Unreadable(_fault("salary_min", "value_error", "must not be more than salary_max"))
    try:
        text = json.dumps(item, ensure_ascii=False, allow_nan=False, sort_keys=True)
        text.encode()
    except (ValueError, RecursionError):  # UnicodeEncodeError is a ValueError
        raise Unreadable(_fault("", "not_storable", "has text or numbers that cannot be stored")) from None
    if re.search(r"(?<!\\)(?:\\\\)*\\u0000", text):
        raise Unreadable(_fault("", "nul_character", "must not contain NUL characters"))
    known_as = item.get("known_as")
    digest = hashlib.sha256((f"id {known_as}" if known_as else text).encode()).digest()
    for event, event_id in zip(item["events"], sorted(str(db.uuid7()) for _ in item["events"]), strict=True):
        event["id"] = event_id  # in the order of the file: it decides between events of the same moment
    return item | {"row": number, "key": str(UUID(bytes=digest[:16]))}


# ---------------------------------------------------------------- tables


def _read_table(table: Table, request: ImportRequest, reading: Reading) -> None:
    is_own = set(COLUMNS) <= set(table.columns)
    reading.delimiter = table.delimiter
    reading.mapping = {name: name for name in COLUMNS} if is_own else _mapping(table, request)
    days = {
        name: [row.cells[n] for row in table.rows if n < len(row.cells)]
        for n, name in enumerate(table.columns)
        if reading.mapping.get(name) in DAYS
    }
    # One program wrote them all: a column that leaves it open is read as the others are.
    usual = request.date_order or cells.order_of(cell for column in days.values() for cell in column)
    orders = {name: request.date_order or cells.order_of(column) or usual for name, column in days.items()}
    for row in table.rows:

        def make(warnings: list[Fault], row: Row = row) -> Item:
            if any(cell.strip() for cell in row.cells[len(table.columns) :]):
                columns = len(table.columns)
                raise Unreadable(_fault("", "too_many_cells", f"has more than the {columns} cells of the heading"))
            named = dict(zip(table.columns, row.cells + [""] * len(table.columns), strict=False))
            if is_own:
                return _own_row(named)
            return _Stranger(named, request, reading.mapping, orders, warnings).item()

        _take(reading, row.number, make)


def _mapping(table: Table, request: ImportRequest) -> dict[str, str | None]:
    """What each column means: as the caller says, else as its name does; of two of a kind the first."""
    for name in request.mapping:
        if name not in table.columns:
            raise ValidationFailed.of("mapping", "unknown_column", "names a column that is not in the heading")
    given = [field_ for field_ in request.mapping.values() if field_ and field_ not in MANY]
    if len(set(given)) < len(given):
        raise ValidationFailed.of("mapping", "duplicate", "gives a field to two columns")
    mapping: dict[str, str | None] = {}
    taken: set[str] = set(given)
    for name in table.columns:
        if name in request.mapping:
            mapping[name] = request.mapping[name]
            continue
        meant = words.HEADINGS.get(words.plain(name))
        mapping[name] = None if meant == "id" or (meant in taken and meant not in MANY) else meant
        taken.add(meant or "")
    for needed in ("company", "position"):
        if needed not in mapping.values():
            raise ValidationFailed.of("mapping", "missing", f"say which column is the {needed}: none is named so")
    return mapping


class _Stranger:
    """One row of a table that is not ours."""

    def __init__(
        self,
        row: Mapping[str, str],
        request: ImportRequest,
        mapping: Mapping[str, str | None],
        orders: Mapping[str, cells.DateOrder | None],
        warnings: list[Fault],
    ) -> None:
        self._row = row
        self._request = request
        self._column = {meant: name for name, meant in mapping.items() if meant and meant not in MANY}
        self._mapping = mapping
        self._orders = orders
        self._warnings = warnings
        self._lines: list[str] = []
        self._faults: list[Fault] = []

    def item(self) -> Item:
        status, reason = self._status()
        days = {name: self._day(name) for name in DAYS}
        given: dict[str, Any] = {
            "company": self._text("company"),
            "position": self._text("position"),
            "location": self._text("location") or None,
            "source": self._text("source") or None,
            "url": self._url(),
            "workplace": self._word("workplace", words.WORKPLACES),
            "priority": self._word("priority", words.PRIORITIES),
            "tags": self._tags(),
            "applied_on": days["applied_on"] and days["applied_on"].isoformat(),
            "deadline": days["deadline"] and days["deadline"].isoformat(),
            **self._salary(),
        }
        for name in ("company", "position"):
            if not given[name]:
                self._faults.append(_fault(name, "missing", "is needed"))
        if self._faults:
            raise Unreadable(*self._faults)
        given["notes"] = self._notes() or None
        fields = ApplicationDraft(**given).model_dump(mode="json", include=set(FIELDS))
        if status is None:
            status = "applied" if days["applied_on"] else "saved"
        return {"fields": fields, "events": _way(status, reason, days)}

    def _text(self, meant: str) -> str:
        return self._row[self._column[meant]].strip() if meant in self._column else ""

    def _keep(self, meant: str, code: str, message: str) -> None:
        """Leave a cell that is no sure value to the notes."""
        self._lines.append(f"{self._column[meant]}: {self._text(meant)}")
        self._warnings.append(_fault(meant, code, message))

    def _status(self) -> tuple[Any, str | None]:
        said, reason = self._text("status"), self._text("close_reason") or None
        if not said:
            self._reasonless(reason)
            return None, None
        word = words.plain(said)
        own = {words.plain(name): status for name, status in self._request.statuses.items()}
        if word in own:
            status: Any = own[word]
            meant = REASONS.get(status)
        elif word in words.STATUSES:
            status, meant = words.STATUSES[word]
        else:  # the caller may have a stage of that name, which only the database knows
            status, meant = {"name": said[:200]}, None
        if isinstance(status, dict) or status not in ("rejected", "ghosted", "withdrawn", "closed"):
            self._reasonless(reason)
            return status, None
        if reason and reason != meant and len(reason) > 200:
            self._keep("close_reason", "too_long", "is kept in the notes")
            reason = None
        return status, reason or meant or (said if status == "closed" else None)

    def _reasonless(self, reason: str | None) -> None:
        if reason:
            self._keep("close_reason", "not_closed", "is kept in the notes: the application is not closed")

    def _day(self, meant: str) -> date | None:
        text = self._text(meant)
        if not text:
            return None
        try:
            return cells.day(text, order=self._orders[self._column[meant]])
        except cells.NoDate as no_date:
            self._faults.append(_fault(meant, no_date.code, str(no_date)))
            return None

    def _url(self) -> str | None:
        text = self._text("url")
        if not text:
            return None
        address = text if re.match(r"(?i)https?://", text) else f"https://{text}"
        try:
            ApplicationDraft(company="-", position="-", url=address)
            is_sound = address is text or bool(re.match(r"[^\s/@:]+\.[^\s/@:]{2,}(?:[:/?#]|$)", text))
        except ValidationError:
            is_sound = False
        if not is_sound:
            self._keep("url", "url", "is no address, and is kept in the notes")
            return None
        if address is not text:
            self._warnings.append(_fault("url", "scheme_added", "was taken for an https address"))
        return address

    def _word(self, meant: str, known: Mapping[str, str]) -> str | None:
        text = self._text(meant)
        if not text:
            return None
        if (word := known.get(words.plain(text))) is None:
            self._keep(meant, "unknown_word", "is kept in the notes")
        return word

    def _tags(self) -> list[str]:
        found = [tag.strip() for name, cell in self._filled("tags") for tag in re.split(r"[,;\n]", cell)]
        return list(dict.fromkeys(filter(None, found)))

    def _filled(self, meant: str | None) -> list[tuple[str, str]]:
        return [(n, self._row[n]) for n, m in self._mapping.items() if m == meant and self._row[n].strip()]

    def _salary(self) -> dict[str, Any]:
        none = dict.fromkeys(("salary_min", "salary_max", "salary_currency", "salary_period"))
        named = self._text("salary_currency").upper() or None
        currency = named if named in cells.CODES else self._request.currency if not named else None
        lows, highs = self._text("salary_min"), self._text("salary_max")
        text = self._text("salary")
        used = [meant for meant in ("salary", *none) if self._text(meant)]
        if not used:
            return none
        found = None
        if text and not (lows or highs):
            found = cells.salary(text, currency=currency)
        elif not text:
            found = _between(
                cells.salary(lows, currency=currency) if lows else None,
                cells.salary(highs, currency=currency) if highs else None,
                given=bool(lows) + bool(highs),
            )
        said = self._text("salary_period")
        period = cells.PERIOD_WORDS.get(words.plain(said).removeprefix("per ")) if said else None
        if said and period is None:
            self._keep("salary_period", "unknown_word", "is kept in the notes")
        if found is None:
            for meant in used:
                if meant != "salary_period" or period:
                    self._keep(meant, "unsure_amount", "is kept in the notes")
            return none
        return {
            "salary_min": found.low,
            "salary_max": found.high,
            "salary_currency": found.currency,
            "salary_period": period or found.period,
        }

    def _notes(self) -> str:
        own = self._filled("notes")
        body = [cell if n == 0 else f"{name}: {cell}" for n, (name, cell) in enumerate(own)]
        rest = []
        if self._request.unmapped == "notes":
            left_out = {name for name, meant in self._request.mapping.items() if meant is None}
            rest = [f"{name}: {cell}" for name, cell in self._filled(None) if name not in left_out]
        more = [*self._lines, *rest]
        return "\n\n".join([*body, *(["\n".join(more)] if more else [])])


def _between(low: cells.Salary | None, high: cells.Salary | None, *, given: int) -> cells.Salary | None:
    """What two cells say together, if each says one amount, in the same currency and for the same time."""
    both = [each for each in (low, high) if each]
    if not both or len(both) < given or any(each.low != each.high for each in both):
        return None
    if len({(each.currency, each.period) for each in both}) > 1 or (low and high and (low.low or 0) > (high.low or 0)):
        return None
    return cells.Salary(low.low if low else None, high.low if high else None, both[0].currency, both[0].period)


def _way(status: Any, reason: str | None, days: Mapping[str, date | None]) -> list[Item]:
    """The timeline that a row with a status and some days tells: no step is later than the last day it names."""
    stage = status if isinstance(status, dict) else {"status": status}
    steps: list[tuple[date | None, Any, str | None]] = []
    applied, saved, changed = days["applied_on"], days["saved_on"], days["changed_on"]
    if saved and status != "saved" and not (applied and saved > applied):
        steps.append((saved, {"status": "saved"}, None))
    if applied and status not in ("saved", "applied"):
        steps.append((applied, {"status": "applied"}, None))
    last = applied if status == "applied" and applied else saved if status == "saved" and saved else changed
    known = [step[0] for step in steps if step[0]]
    if last is None or (known and last < max(known)):
        last = max(known) if known else last
    steps.append((last, stage, reason))
    return [
        {"kind": "moved" if n else "created", "stage": where, "reason": why}
        | ({"day": when.isoformat()} if when else {})
        for n, (when, where, why) in enumerate(steps)
    ]


# ---------------------------------------------------------------- our own


def _own_row(row: Mapping[str, str]) -> Item:
    """A row of a CSV file that we wrote."""
    given: dict[str, Any] = {name: cells.as_written(row[name]) or None for name in COLUMNS}
    try:
        steps = history.read(given["history"] or "")
    except ValueError:
        raise Unreadable(_fault("history", "history", "is not as it was exported")) from None
    currency = given["salary_currency"]
    for name in ("salary_min", "salary_max"):
        if given[name] is not None:
            try:
                amount = cells.in_minor(Decimal(given[name]), currency or "")
            except (InvalidOperation, ArithmeticError, ValueError):
                amount = None
            if amount is None:
                raise Unreadable(_fault(name, "amount", "must be an amount, such as 80000.50"))
            given[name] = amount
    if given["salary_period"] not in (None, *get_args(Period)):
        raise Unreadable(_fault("salary_period", "literal_error", "is none that we know"))
    tags = json.loads(given["tags"]) if (given["tags"] or "").startswith("[") else _listed(given["tags"])
    for name in ("applied_on", "deadline"):
        if given[name] is not None:
            try:
                given[name] = cells.day(given[name], order=None).isoformat()
            except cells.NoDate as no_date:
                raise Unreadable(_fault(name, no_date.code, str(no_date))) from None
    known = {name: given[name] for name in ("id", "follow_up_at", "created_at")}
    stage_ids = {step["name"]: UUID(int=n) for n, step in enumerate(steps)}
    filed = FiledApplication.model_validate(
        {
            "application": {name: given[name] for name in FIELDS if name != "tags"} | known | {"tags": tags},
            "events": [
                {name: step[name] for name in ("occurred_at", "kind", "round_name", "reason", "note")}
                | {"round": int(step["round"]) if (step["round"] or "").isdecimal() else None}
                | {"stage_id": stage_ids[step["name"]]}
                for step in steps
            ],
        }
    )
    stages = {stage_ids[step["name"]]: {"name": step["name"], "status": step["status"]} for step in steps}
    item = _own(filed, stages)
    del item["last_activity_at"], item["applied_on_is_own"]  # which it does not say
    return item


def _listed(text: str | None) -> list[str]:
    return [tag.strip() for tag in text.split(",") if tag.strip()] if text else []


def _read_own(parsed: Any, reading: Reading) -> None:
    """A JSON file that we wrote."""
    if not isinstance(parsed, dict) or parsed.get("format") != FORMAT or parsed.get("version") != VERSION:
        raise ValidationFailed.of("content", "json", f"must be an export of Jobtrail's, version {VERSION}, or a list")
    entries, stages = parsed.get("applications"), parsed.get("stages")
    if not isinstance(entries, list) or not isinstance(stages, list) or len(stages) > 1000:
        raise ValidationFailed.of("content", "json", "must have lists of stages and of applications")
    if len(entries) > tables.MAX_ROWS:
        raise ValidationFailed.of("content", "too_many_rows", f"must have at most {tables.MAX_ROWS} applications")
    try:
        known = {stage.id: stage.model_dump(mode="json") for stage in map(FiledStage.model_validate, stages)}
    except ValidationError:
        raise ValidationFailed.of("content", "json", "has a stage that is none") from None
    people: dict[UUID, str] = {}
    things = 0
    for number, entry in enumerate(entries, start=1):

        def make(_: list[Fault], entry: Any = entry) -> Item:
            nonlocal things
            filed = FiledApplication.model_validate(entry)
            if any(event.stage_id and event.stage_id not in known for event in filed.events):
                raise Unreadable(_fault("events", "unknown_stage", "has a stage that is not among the stages"))
            item = _own(filed, known)
            for contact in item["contacts"]:  # who has to do with several applications is one person
                contact["known_as"] = contact["id"]
                contact["id"] = people.setdefault(UUID(contact["id"]), str(db.uuid7()))
            things += sum(len(item[name]) for name in ("events", "notes", "tasks", "interviews", "contacts"))
            return item

        _take(reading, number, make)
        if things > MAX_THINGS:
            raise ValidationFailed.of("content", "too_many_things", f"must have at most {MAX_THINGS} events and things")


def _own(filed: FiledApplication, stages: Mapping[UUID, Mapping[str, Any]]) -> Item:
    fields = filed.application.model_dump(mode="json")

    def step(event: FiledEvent) -> Item:
        written = event.model_dump(mode="json", exclude={"stage_id", "facts"})
        written["facts"] = event.facts  # as they are: a dump would turn what cannot be stored into something that can
        return written | ({"stage": stages[event.stage_id]} if event.stage_id else {})

    return {
        "known_as": fields["id"],
        "fields": {name: fields[name] for name in FIELDS},
        **{name: fields[name] for name in ("applied_on_is_own", "follow_up_at", "last_activity_at", "created_at")},
        "events": [step(event) for event in filed.events],
        **filed.model_dump(mode="json", include={"notes", "tasks", "interviews", "contacts"}),
    }
