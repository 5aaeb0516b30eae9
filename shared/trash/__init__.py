"""What was deleted, for 30 days."""

from shared.trash.queries import HELD

__all__ = ["HELD"]
