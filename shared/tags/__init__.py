"""Tags: what somebody marks their applications with."""

from shared.tags.models import ListedTag, Tag, TagChanges, TagDraft, TagQuery
from shared.tags.queries import HELD
from shared.tags.service import TagExists, TooManyTags, create_tag, delete_tag, get_tag, list_tags, update_tag

__all__ = [
    "HELD",
    "ListedTag",
    "Tag",
    "TagChanges",
    "TagDraft",
    "TagExists",
    "TagQuery",
    "TooManyTags",
    "create_tag",
    "delete_tag",
    "get_tag",
    "list_tags",
    "update_tag",
]
