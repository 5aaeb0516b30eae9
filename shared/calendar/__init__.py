"""The calendar feed: interviews, tasks and follow-ups, at a secret address."""

from shared.calendar.models import Feed, NewFeed
from shared.calendar.queries import HELD
from shared.calendar.service import INLINE, create_feed, get_feed, read_feed, revoke_feed

__all__ = ["HELD", "INLINE", "Feed", "NewFeed", "create_feed", "get_feed", "read_feed", "revoke_feed"]
