"""Notes on an application."""

from shared.notes.queries import HELD

__all__ = ["HELD"]
