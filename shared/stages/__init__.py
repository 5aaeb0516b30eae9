"""The stages of somebody's own pipeline."""

from shared.stages.queries import HELD

__all__ = ["HELD"]
