"""Shares: applications that whoever has a link may read, without what is nobody else's business."""

from shared.shares.models import NewShare, Share, SharedView, ShareQuery, ShareRequest
from shared.shares.queries import HELD
from shared.shares.service import TooManyShares, create_share, list_shares, open_share, revoke_share

__all__ = [
    "HELD",
    "NewShare",
    "Share",
    "ShareQuery",
    "ShareRequest",
    "SharedView",
    "TooManyShares",
    "create_share",
    "list_shares",
    "open_share",
    "revoke_share",
]
