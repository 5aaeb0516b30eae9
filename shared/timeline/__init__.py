"""What happened to an application, and when."""

from shared.timeline.queries import HELD

__all__ = ["HELD"]
