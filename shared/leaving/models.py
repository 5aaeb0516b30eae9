"""What somebody who leaves is told."""

from typing import Annotated

from pydantic import Field

from shared.fields import Moment, Response


class Deletion(Response):
    """An account that is about to end."""

    deletion_due_at: Annotated[Moment, Field(description="Until then it can be restored; then everything goes.")]
