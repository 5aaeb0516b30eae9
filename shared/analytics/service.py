"""What somebody's applications came to. Every figure is one statement; nothing is changed by looking."""

from typing import Any

from shared import db, documents
from shared.analytics import exposition, queries
from shared.analytics.models import (
    MOST_WEEKS,
    Funnel,
    Period,
    QuietApplication,
    QuietQuery,
    Sankey,
    SankeyQuery,
    Sources,
    Summary,
    TimeInStage,
    WeeklyVolume,
    Weeks,
)
from shared.db import AnyCaller, Guard
from shared.documents import Document, Page
from shared.fields import PlainText, Svg


async def summarize(caller: AnyCaller, period: Period) -> Document[Summary]:
    return await documents.get(db.enter(caller), queries.SUMMARIZE, **_days(period))


async def measure_activity(caller: AnyCaller, weeks: Weeks) -> Document[WeeklyVolume]:
    """The weeks from one day's to another's.

    Raises:
        ValidationFailed: there are more of them than MOST_WEEKS. Only SQL knows what today is where the user is.
    """
    limit = Guard(queries.LIMIT_WEEKS, {"most_weeks": MOST_WEEKS})
    return await documents.get(db.enter(caller).guarded_by(limit), queries.MEASURE_ACTIVITY, **_days(weeks))


async def measure_funnel(caller: AnyCaller, period: Period) -> Document[Funnel]:
    return await documents.get(db.enter(caller), queries.MEASURE_FUNNEL, **_days(period))


async def compare_sources(caller: AnyCaller, period: Period) -> Document[Sources]:
    return await documents.get(db.enter(caller), queries.COMPARE_SOURCES, **_days(period))


async def measure_stays(caller: AnyCaller) -> Document[TimeInStage]:
    return await documents.get(db.enter(caller), queries.MEASURE_STAYS)


async def list_quiet(caller: AnyCaller, query: QuietQuery) -> Page[QuietApplication]:
    return await documents.page(
        db.enter(caller),
        queries.LIST_QUIET,
        sort="last_activity_at",
        cursor=query.cursor,
        limit=query.limit,
        days=query.days,
    )


async def draw_sankey(caller: AnyCaller, query: SankeyQuery) -> Sankey | PlainText | Svg:
    """The flows as data, as SankeyMATIC's text, or as a drawing. Whose applications they are stands in none."""
    found = await documents.get(db.enter(caller), queries.DRAW_SANKEY, **_days(query))
    sankey = Sankey.model_validate_json(found.json)
    match query.format:
        case "json":
            return sankey
        case "text":
            return PlainText(exposition.sankeymatic(sankey))
        case "svg":
            return Svg(exposition.svg(sankey))


def _days(period: Period) -> dict[str, Any]:
    return {"from_": period.from_, "to": period.to}
