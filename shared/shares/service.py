"""Making, listing and revoking shares, and reading one."""

import json
from http import HTTPStatus
from uuid import UUID

from shared import db, documents, settings
from shared.db import Caller, Device, Door, Guard
from shared.documents import Document, Page
from shared.errors import NotFound, Problem
from shared.fields import WebPage
from shared.security.random_tokens import share_tokens
from shared.shares import pages, queries
from shared.shares.models import Made, NewShare, Share, SharedView, ShareQuery, ShareRequest

MOST = 50
"""Shares one account may have that are good at the same time."""

MOST_SHOWN = 500
"""Applications one share shows; it counts all it covers."""

MOST_STEPS = 50
"""Steps of an application's timeline that are shown, the latest."""


class TooManyShares(Problem):
    """Carries ``limit``."""

    status = HTTPStatus.CONFLICT
    code = "too_many_shares"
    title = "You have as many shares as you may have; revoke one first"
    sqlstate = "JTH09"


async def create_share(caller: Caller, request: ShareRequest, *, device: Device) -> NewShare:
    """Make a share; this answer is the only one that shows its address.

    It is not kept for an ``Idempotency-Key``, because it would be kept with its secret. Who lost the answer revokes the
    share that was never opened, and makes another.

    Raises:
        TooManyShares: the caller has MOST of them.
        ValidationFailed: one of the applications is not theirs.
    """
    token = share_tokens.issue()
    (made,) = (
        await db.enter(caller)
        .guarded_by(db.from_device(device))
        .write(
            queries.CREATE_SHARE,
            row=Made,
            digest=share_tokens.digest(token),
            name=request.name,
            application_ids=request.application_ids,
            anonymous=request.anonymous,
            days=request.expires_in_days,
            most=MOST,
        )
    )
    return NewShare(
        id=made.id,
        name=request.name,
        all=request.all,
        anonymous=request.anonymous,
        token=token,
        url=f"{settings.current().own_url}/api/shared/{token}",
        created_at=made.created_at,
        expires_at=made.expires_at,
    )


async def list_shares(caller: Caller, query: ShareQuery) -> Page[Share]:
    """The shares that are good, the newest first."""
    return await documents.page(
        db.enter(caller), queries.LIST_SHARES, sort="-created_at", cursor=query.cursor, limit=query.limit
    )


async def revoke_share(caller: Caller, share_id: UUID, *, device: Device) -> None:
    """Destroy a share's address for good.

    Raises:
        NotFound: the caller has no such share, or it has expired.
    """
    if not await db.enter(caller).guarded_by(db.from_device(device)).write(queries.REVOKE_SHARE, id=share_id):
        raise NotFound


async def open_share(token: str, *, accept: str | None) -> Document[SharedView] | WebPage:
    """What a share shows now: for a browser a page, for everybody else JSON.

    Raises:
        NotFound: there is no such share, or none any more, or its owner is disabled or about to leave.
    """
    digest = share_tokens.read(token)
    if digest is None:
        raise NotFound
    door = Door(Guard(queries.ENTER_WITH_SHARE, {"share_digest": digest}))
    # The door writes down that it was opened; to do so twice is to do so once.
    ((view,),) = await door.read(queries.OPEN_SHARE, most=MOST_SHOWN, steps=MOST_STEPS)
    return pages.page_of(json.loads(view)) if _wants_page(accept) else Document(view)


def _wants_page(accept: str | None) -> bool:
    """Whether a client names HTML before JSON, as browsers do."""
    for given in (accept or "").split(","):
        match given.partition(";")[0].strip().lower():
            case "text/html" | "application/xhtml+xml":
                return True
            case "application/json" | "application/*":
                return False
    return False
