"""What was deleted, while it can still be restored."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from shared.fields import Moment, PageQuery, Response

Kind = Literal["application", "note", "event", "contact", "company", "interview", "task", "file"]


class TrashItem(Response):
    """Something deleted. Its id is the one it had, and will have again."""

    id: UUID
    kind: Kind
    title: str
    deleted_at: Moment
    purged_at: Annotated[Moment, Field(description="When it goes for good: 30 days after it was deleted.")]


class Restored(Response):
    """What is back where it was."""

    id: UUID
    kind: Kind


class TrashQuery(PageQuery):
    """Which of what was deleted to list, the latest first."""

    kind: Kind | None = None
