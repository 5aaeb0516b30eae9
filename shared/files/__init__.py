"""Documents, and which were sent with which application."""

from shared.files.queries import HELD

__all__ = ["HELD"]
