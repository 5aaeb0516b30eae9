"""Companies, one for each name however it is spelled."""

from shared.companies.queries import HELD

__all__ = ["HELD"]
