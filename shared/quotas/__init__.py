"""Quotas: how much somebody may use of what costs us."""

from shared.quotas.models import Consumption, Quota, Quotas, Reservation, ReservationRequest
from shared.quotas.queries import HELD
from shared.quotas.service import (
    QuotaExceeded,
    ReservationExpired,
    ReservationSettled,
    consume,
    get_quota,
    list_quotas,
    reserve,
    settle,
    taking,
)

__all__ = [
    "HELD",
    "Consumption",
    "Quota",
    "QuotaExceeded",
    "Quotas",
    "Reservation",
    "ReservationExpired",
    "ReservationRequest",
    "ReservationSettled",
    "consume",
    "get_quota",
    "list_quotas",
    "reserve",
    "settle",
    "taking",
]
