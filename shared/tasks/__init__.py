"""What is to be done, and until when."""

from shared.tasks.queries import HELD

__all__ = ["HELD"]
