"""The SQL of stages."""

from shared.db import statement
from shared.documents import columns, creation
from shared.holdings import Holding
from shared.stages.models import Stage, StageDraft

RETIRED = "stages.retired_at IS NOT NULL"
DOCUMENT = columns(Stage, "stages", retired=RETIRED)

CREATE_STAGE = creation("stages", fields=StageDraft, shown=Stage, retired=RETIRED)
CHANGE_STAGE = statement("SELECT change_stage(%(stage_id)s, %(stage_versions)s::int[], %(stage_changes)s::jsonb)")
GET_STAGE = statement("SELECT version, {document} FROM stages WHERE id = %(id)s", document=DOCUMENT)
LIST_STAGES = statement(
    """
    SELECT {document} AS document, position::text AS sort_key, id FROM stages
    WHERE user_id = current_setting('app.user_id')::uuid
      AND (%(retired)s::boolean IS NULL OR (retired_at IS NOT NULL) = %(retired)s::boolean)
      AND (%(after_id)s::uuid IS NULL OR (position, id) > (%(after_key)s::int, %(after_id)s::uuid))
    ORDER BY position, id
    LIMIT %(limit)s
    """,
    document=DOCUMENT,
)

HELD = (
    Holding(
        "stages",
        shown=("id", "name", "category", "status", "position", "retired_at", "created_at", "updated_at", "version"),
    ),
)
