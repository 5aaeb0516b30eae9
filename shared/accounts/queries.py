"""The accounts' SQL."""

from shared.accounts.models import Profile, ProfileChanges, User
from shared.db import statement
from shared.documents import change, columns
from shared.holdings import Holding

USER = columns(User, "users")

GET_USER = statement("SELECT NULL::int, {user} FROM users", user=USER)
GET_PROFILE = statement("SELECT version, {profile} FROM users", profile=columns(Profile, "users"))
UPDATE_PROFILE = change("users", fields=ProfileChanges, shown=Profile, row="id = current_setting('app.user_id')::uuid")

HELD = (Holding("users", shown=(*Profile.model_fields, "updated_at")),)
