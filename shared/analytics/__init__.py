"""Figures of somebody's applications: volume, funnel, responses, waiting times, and what has gone quiet."""

from shared.analytics.models import (
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
from shared.analytics.service import (
    compare_sources,
    draw_sankey,
    list_quiet,
    measure_activity,
    measure_funnel,
    measure_stays,
    summarize,
)

__all__ = [
    "Funnel",
    "Period",
    "QuietApplication",
    "QuietQuery",
    "Sankey",
    "SankeyQuery",
    "Sources",
    "Summary",
    "TimeInStage",
    "WeeklyVolume",
    "Weeks",
    "compare_sources",
    "draw_sankey",
    "list_quiet",
    "measure_activity",
    "measure_funnel",
    "measure_stays",
    "summarize",
]
