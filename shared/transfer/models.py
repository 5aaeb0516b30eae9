"""What goes out and what comes in."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from shared.applications import ApplicationDraft, Status
from shared.applications.models import Currency, Reason, Round, Text
from shared.fields import (
    NO_NUL,
    SEVERAL,
    Day,
    Instant,
    Moment,
    Name,
    PageQuery,
    Prose,
    Query,
    Request,
    Response,
    TimeZone,
)
from shared.transfer.cells import DateOrder

Format = Literal["csv", "json"]
Encoding = Literal["utf-8", "utf-16-le", "utf-16-be", "windows-1252"]
Meaning = Literal[
    "company",
    "position",
    "location",
    "workplace",
    "url",
    "source",
    "priority",
    "tags",
    "status",
    "close_reason",
    "salary",
    "salary_min",
    "salary_max",
    "salary_currency",
    "salary_period",
    "applied_on",
    "deadline",
    "saved_on",
    "changed_on",
    "notes",
]
"""What a column of somebody's table can mean."""

Heading = Annotated[str, StringConstraints(min_length=1, max_length=200), NO_NUL]


def _unnamed(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """The fault of an entry is told without its name, which is the caller's own text."""
    try:
        return check(value)
    except ValidationError:
        raise PydanticCustomError("entries", "must be an object of names, each with a value that is known") from None


class ExportQuery(Query):
    """Which applications to take along, and as what."""

    format: Format = Field(
        "csv", description="`csv`: a row each, for spreadsheets; `json`: all that hangs on them too."
    )
    status: Annotated[tuple[Status, ...], SEVERAL, Field(min_length=1, max_length=10)] | None = Field(
        None, description="Any of these, comma-separated."
    )
    applied_from: Day | None = Field(None, description="Applied on this day or later.")
    applied_to: Day | None = Field(None, description="Applied on this day or earlier.")


class ImportRequest(Request):
    """A file, and how to read it where that cannot be seen from it."""

    content: Annotated[str, NO_NUL] | None = Field(None, description="The file's text.")
    content_base64: Annotated[str, NO_NUL] | None = Field(
        None, description="Or its bytes, where the encoding has to be found out."
    )
    format: Format | None = Field(None, description="Left out: as the content begins.")
    file_name: Name | None = Field(None, description="To know the import by.")
    dry_run: bool = Field(False, description="Only tell what would become of each row.")
    mapping: Annotated[dict[Heading, Meaning | None], Field(max_length=200), WrapValidator(_unnamed)] = Field(
        {}, description="What columns mean, where their names do not say it; null leaves one out."
    )
    statuses: Annotated[dict[Heading, Status], Field(max_length=200), WrapValidator(_unnamed)] = Field(
        {}, description="What words for a status mean that are not known."
    )
    unmapped: Literal["notes", "ignore"] = Field("notes", description="What happens to columns that mean nothing here.")
    date_order: DateOrder | None = Field(
        None, description="How to read 11/12/2026, if no other date of the column says."
    )
    currency: Currency | None = Field(None, description="What amounts are in that do not name it.")
    encoding: Encoding | None = Field(None, description="For `content_base64`; left out: found out.")
    delimiter: Literal[",", ";", "\t", "|"] | None = Field(None, description="Left out: found in the heading.")

    @model_validator(mode="after")
    def _has_one_content(self) -> "ImportRequest":
        if (self.content is None) == (self.content_base64 is None):
            raise PydanticCustomError("content", "either content or content_base64 is needed")
        return self


class Fault(Response):
    field: str
    code: str
    message: str


class RowResult(Response):
    """What became of one row; the heading is row 1, as in a spreadsheet."""

    row: int
    outcome: Literal["created", "would_create", "unchanged", "failed"]
    application_id: UUID | None
    errors: list[Fault]
    warnings: list[Fault]


class ImportReport(Response):
    """What became of a file."""

    import_id: UUID | None = Field(description="By which the whole of it can be undone; null for a dry run.")
    dry_run: bool
    rows: int
    created: int
    unchanged: int
    failed: int
    format: Format
    encoding: str
    delimiter: str | None
    mapping: dict[str, str | None] = Field(description="What each column was taken for; null: nothing.")
    results: list[RowResult]


class ImportQuery(PageQuery):
    """Which part of the list of imports to show."""


class Import(Response):
    """An import that was made."""

    id: UUID
    format: Format
    file_name: str | None
    rows: int
    created: int
    unchanged: int
    failed: int
    created_at: Moment
    undone_at: Moment | None


class UndoQuery(Query):
    """How far to go."""

    force: bool = Field(False, description="Also what was worked on since.")


class Kept(Response):
    row: int
    application_id: UUID


class Undoing(Response):
    """What undoing an import did."""

    import_id: UUID
    trashed: int = Field(description="How many applications went to the trash now.")
    kept: list[Kept] = Field(description="Those that stayed, because they were worked on since.")


# ---------------------------------------------------------------- our own files


class _Filed(BaseModel):
    """Part of a file of ours; what a later version may say besides is left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class FiledStage(_Filed):
    id: UUID
    name: Name
    category: Annotated[str, StringConstraints(max_length=20)]
    status: Annotated[str, StringConstraints(max_length=20)]


class FiledEvent(_Filed):
    kind: Annotated[str, StringConstraints(min_length=1, max_length=100), NO_NUL]
    occurred_at: Instant
    stage_id: UUID | None = None
    round: Round | None = None
    round_name: Name | None = None
    reason: Reason | None = None
    note: Prose | None = None
    facts: dict[str, Any] = {}
    created_at: Instant | None = None

    @model_validator(mode="after")
    def _has_a_stage_or_none(self) -> "FiledEvent":
        if (self.kind in ("created", "moved")) != (self.stage_id is not None):
            raise PydanticCustomError("stage_id", "goes with created and moved, and with nothing else")
        return self


class FiledNote(_Filed):
    body: Annotated[Prose, Field(min_length=1)]
    created_at: Instant | None = None


class FiledTask(_Filed):
    title: Text
    notes: Prose | None = None
    due_at: Instant | None = None
    done_at: Instant | None = None
    created_at: Instant | None = None


class FiledInterview(_Filed):
    kind: Annotated[str, StringConstraints(min_length=1, max_length=100), NO_NUL]
    title: Text | None = None
    starts_at: Instant
    duration_minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    time_zone: TimeZone
    location: Prose | None = None
    interviewers: Annotated[list[Name], Field(max_length=100)] = []
    round: Round | None = None
    outcome: Annotated[str, StringConstraints(min_length=1, max_length=100), NO_NUL] = "pending"
    notes: Prose | None = None
    created_at: Instant | None = None


class FiledContact(_Filed):
    id: UUID
    company: Text | None = None
    name: Name
    title: Text | None = None
    email: Text | None = None
    phone: Text | None = None
    url: Prose | None = None
    notes: Prose | None = None
    role: Text | None = None


class FiledFields(ApplicationDraft):
    """An application by itself."""

    model_config = ConfigDict(extra="ignore", strict=False)

    id: UUID
    applied_on_is_own: bool = False
    follow_up_at: Instant | None = None
    last_activity_at: Instant | None = None
    created_at: Instant | None = None


class FiledApplication(_Filed):
    """An application with all that hangs on it."""

    application: FiledFields
    events: list[FiledEvent]
    notes: list[FiledNote] = []
    tasks: list[FiledTask] = []
    interviews: list[FiledInterview] = []
    contacts: list[FiledContact] = []

    @model_validator(mode="after")
    def _is_somewhere(self) -> "FiledApplication":
        if not any(event.stage_id for event in self.events):
            raise PydanticCustomError("events", "must have one with a stage")
        return self
