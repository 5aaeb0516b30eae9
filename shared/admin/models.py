"""What an administrator sees, and may change."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.accounts import Role, User
from shared.fields import NO_NUL, Changes, Moment, PageQuery, Query, Request, Response
from shared.quotas import Quota

Sort = Literal["-created_at", "created_at", "email", "-email"]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), NO_NUL]
"""Why it was done. The audit log keeps it, and the account's owner can read it there."""


class UserQuery(PageQuery):
    """Which accounts to list, and in which order."""

    q: Annotated[str, StringConstraints(min_length=1, max_length=200), NO_NUL] | None = Field(
        None, description="Part of the e-mail address, name or company."
    )
    role: Role | None = None
    active: bool | None = Field(None, description="Only active accounts, or only disabled ones.")
    created_from: Moment | None = Field(None, description="Made at this moment or later.")
    created_to: Moment | None = Field(None, description="Made before this moment.")
    sort: Sort = "-created_at"


class UserSummary(User):
    """Somebody's account, in a list."""

    active: bool


class Override(Response):
    """What somebody may use in place of what their role may; ``units`` null: as much as they like."""

    units: int | None
    reason: str
    granted_by: UUID | None
    created_at: Moment


class AdminQuota(Quota):
    """A quota of somebody's, and what was granted by hand."""

    override: Override | None


class UserDetails(UserSummary):
    """Somebody's account, with what helps to help them."""

    disabled_at: Moment | None
    second_factor: Annotated[bool, Field(description="Whether signing in takes a second factor.")]
    sessions: Annotated[int, Field(description="Devices they are signed in on.")]
    last_sign_in_at: Moment | None
    quotas: list[AdminQuota]


class AccountChanges(Changes):
    """What to change; what is left out stays."""

    role: Role = "user"
    active: bool = True
    reason: Reason | None = None


class Ending(Request):
    reason: Reason | None = None


class Grant(Request):
    """What to allow from now on: so many units in each of the metric's windows, or null for no limit."""

    units: Annotated[int, Field(ge=0, le=10**12)] | None
    reason: Reason


# ---------------------------------------------------------------- monitoring


class MetricsQuery(Query):
    format: Literal["json", "prometheus"] | None = Field(
        None, description="Unless given, what `Accept` prefers: `text/plain` is Prometheus' own, anything else JSON."
    )


class ProcessMetrics(Response):
    """The process that answered. What is counted below by process is counted since it started."""

    id: str
    started_at: Moment


class PoolMetrics(Response):
    """The process's connections to the database."""

    size: int
    open: int
    idle: int
    waiting: Annotated[int, Field(description="Requests that wait for a connection.")]


class RouteMetrics(Response):
    """How a route was served by this process."""

    route: str
    statuses: dict[str, int]
    seconds: Annotated[float, Field(description="All of them together.")]
    within: Annotated[dict[str, int], Field(description="How many took no longer than so many seconds.")]


class TableMetrics(Response):
    table: str
    rows: Annotated[int, Field(description="As PostgreSQL estimates; -1: it does not know yet.")]
    bytes: Annotated[int, Field(description="With indexes.")]


class StatementMetrics(Response):
    """A statement without its values."""

    id: str
    statement: str
    calls: int
    rows: int
    total_seconds: float
    mean_seconds: float
    longest_seconds: float


class FailedSignIns(Response):
    reason: Annotated[str, Field(description="`credentials`: address or password were wrong.")]
    last_hour: int
    last_day: int


class SessionMetrics(Response):
    state: Literal["active", "expired", "revoked"]
    age: Literal["day", "week", "month", "older"]
    count: int


class TokenMetrics(SessionMetrics):
    """Personal access tokens."""


class MailMetrics(Response):
    state: Literal["queued", "sent", "dead"]
    count: int


class ChallengeMetrics(Response):
    """Tokens that something begun is finished with, once."""

    kind: str
    state: Literal["open", "spent", "expired"]
    count: int


class QuotaMetrics(Response):
    """A quota in its present window."""

    metric: str
    users: Annotated[int, Field(description="Who used any.")]
    used: int
    overrides: Annotated[int, Field(description="Granted by hand.")]


class StoredMetrics(Response):
    """What the database says, at most ten seconds ago. Big tables are sampled, and what is counted there estimated."""

    measured_at: Moment
    bytes: int
    tables: list[TableMetrics]
    slowest_statements: list[StatementMetrics] | None
    slowest_statements_missing: Annotated[str | None, Field(description="Why there are none.")]
    failed_sign_ins: list[FailedSignIns]
    sessions: list[SessionMetrics]
    tokens: list[TokenMetrics]
    challenges: list[ChallengeMetrics]
    quotas: list[QuotaMetrics]
    mail: list[MailMetrics]
    oldest_queued_mail_seconds: Annotated[float | None, Field(description="How long it has been waiting.")]


class Metrics(Response):
    process: ProcessMetrics
    pool: PoolMetrics
    routes: list[RouteMetrics]
    refusals: Annotated[dict[str, int], Field(description="By code, by this process.")]
    database: StoredMetrics
