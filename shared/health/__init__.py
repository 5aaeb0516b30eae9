"""Health: for those who watch over the app."""

from shared.health.models import Checks, Health, Readiness
from shared.health.service import SCHEMA_REVISION, NotReady, get_health, get_readiness

__all__ = ["SCHEMA_REVISION", "Checks", "Health", "NotReady", "Readiness", "get_health", "get_readiness"]
