"""Capture's SQL: it keeps nothing, and only counts."""

from shared.db import statement

# The door has shown who calls; the limits are not theirs to touch.
HIT_OWN_LIMIT = statement("SELECT hit_own_limit(%(key)s, %(policy)s, %(cap)s, %(seconds)s)")
