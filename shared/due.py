"""When this process knows that something becomes due, so that a timer need not wake the database only to ask.

A process knows what it saw at its last look, and what was written through it since; what another process wrote, it
sees at its next look. That comes within the hour, and every time the timer fires on a day on which something is due.
"""

from datetime import UTC, datetime, timedelta

BLIND = timedelta(minutes=59)
"""How long a process may go without a look: an hour, less what a timer may be early."""

_looked_at: datetime | None = None
_next_at: datetime | None = None


def note(*moments: datetime | None) -> None:
    """Remember that something becomes due at these moments."""
    global _next_at
    known = [moment for moment in (*moments, _next_at) if moment is not None]
    _next_at = min(known, default=None)


def is_time_to_look(now: datetime) -> bool:
    if _looked_at is None or now - _looked_at >= BLIND:
        return True
    return _next_at is not None and (_next_at <= now or _next_at.astimezone(UTC).date() == now.astimezone(UTC).date())


def begin_look() -> None:
    """Forget what was known. A look that fails leaves nothing known, and the timer looks again."""
    global _looked_at, _next_at
    _looked_at = _next_at = None


def end_look(now: datetime, next_at: datetime | None) -> None:
    """Remember when the look was, and what it found to be next; what was noted meanwhile stays known."""
    global _looked_at
    _looked_at = now
    note(next_at)
