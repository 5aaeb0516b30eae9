"""What an account's owner can do with it."""

from http import HTTPStatus

from shared import db, documents
from shared.accounts import queries
from shared.accounts.models import Profile, ProfileChanges, User
from shared.db import AnyCaller
from shared.documents import Document, Versions
from shared.errors import Problem


class LastWayIn(Problem):
    """``ways_in()`` counts them: raised by whoever was asked to take the last one away."""

    status = HTTPStatus.CONFLICT
    code = "last_way_in"
    title = "Without it you could not sign in; set a password or add another way to sign in first"


async def get_user(caller: AnyCaller) -> User:
    """The caller, as the database knows it now."""
    document = await documents.get(db.enter(caller), queries.GET_USER)
    return User.model_validate_json(document.json)


async def get_profile(caller: AnyCaller) -> Document[Profile]:
    return await documents.get(db.enter(caller), queries.GET_PROFILE)


async def update_profile(caller: AnyCaller, changes: ProfileChanges, *, versions: Versions) -> Document[Profile]:
    return await documents.update(db.enter(caller), queries.UPDATE_PROFILE, None, changes, versions=versions)
