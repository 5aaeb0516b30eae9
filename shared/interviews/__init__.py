"""Interviews: when, where, with whom, and how it went."""

from shared.interviews.queries import HELD

__all__ = ["HELD"]
