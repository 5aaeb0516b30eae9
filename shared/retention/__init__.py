"""Retention: what is kept for how long, and who takes it out."""

from shared.retention.service import purge

__all__ = ["purge"]
