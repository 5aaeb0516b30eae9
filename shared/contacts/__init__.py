"""The people somebody has to do with."""

from shared.contacts.queries import HELD

__all__ = ["HELD"]
