"""Reminders by mail, of tasks, interviews and follow-ups: each once."""

from shared.reminders.queries import HELD
from shared.reminders.service import send

__all__ = ["HELD", "send"]
