"""Accounts: who somebody is."""

from shared.accounts.models import Profile, ProfileChanges, Role, User
from shared.accounts.queries import HELD
from shared.accounts.service import LastWayIn, get_profile, get_user, update_profile

__all__ = [
    "HELD",
    "LastWayIn",
    "Profile",
    "ProfileChanges",
    "Role",
    "User",
    "get_profile",
    "get_user",
    "update_profile",
]
