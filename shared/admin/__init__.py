"""Administration: other people's accounts, what they may use, and how the whole is doing."""

from shared.admin.models import (
    AccountChanges,
    AdminQuota,
    Ending,
    Grant,
    Metrics,
    MetricsQuery,
    UserDetails,
    UserQuery,
    UserSummary,
)
from shared.admin.queries import HELD
from shared.admin.service import (
    LastAdmin,
    change_user,
    end_sessions,
    get_metrics,
    get_user,
    grant_quota,
    restore_quota,
    search_users,
)

__all__ = [
    "HELD",
    "AccountChanges",
    "AdminQuota",
    "Ending",
    "Grant",
    "LastAdmin",
    "Metrics",
    "MetricsQuery",
    "UserDetails",
    "UserQuery",
    "UserSummary",
    "change_user",
    "end_sessions",
    "get_metrics",
    "get_user",
    "grant_quota",
    "restore_quota",
    "search_users",
]
