"""The board's SQL."""

from shared.applications import Application
from shared.board.models import Card
from shared.db import statement
from shared.documents import columns
from shared.stages import Stage

GET_BOARD = statement(
    """
    SELECT {stage} AS stage, coalesce(counted.cards, 0), shown.documents, shown.ranks, shown.ids
    FROM stages LEFT JOIN (
        SELECT stage_id, count(*) AS cards FROM applications
        WHERE user_id = current_setting('app.user_id')::uuid
          AND (%(stage_id)s::uuid IS NULL OR stage_id = %(stage_id)s::uuid)
        GROUP BY stage_id
    ) AS counted ON counted.stage_id = stages.id, LATERAL (
        SELECT array_agg(document ORDER BY board_rank, id) AS documents,
               array_agg(board_rank::text ORDER BY board_rank, id) AS ranks,
               array_agg(id::text ORDER BY board_rank, id) AS ids
        FROM (SELECT {card} AS document, board_rank, id FROM applications
              WHERE applications.user_id = stages.user_id AND applications.stage_id = stages.id
                AND (%(after_id)s::uuid IS NULL
                     OR (board_rank, id) > (%(after_key)s::numeric, %(after_id)s::uuid))
              ORDER BY board_rank, id
              LIMIT %(limit)s) AS top
    ) AS shown
    WHERE stages.user_id = current_setting('app.user_id')::uuid
      AND (%(stage_id)s::uuid IS NULL OR stages.id = %(stage_id)s::uuid)
      AND (stages.retired_at IS NULL OR counted.cards > 0)
    ORDER BY stages.position, stages.id
    """,
    stage=columns(Stage, "stages", retired="stages.retired_at IS NOT NULL"),
    card=columns(Card, "applications"),
)
PLACE_APPLICATION = statement(
    """
    SELECT place_application(%(place_application_id)s, %(place_versions)s::int[], %(place_stage_id)s::uuid,
                             %(place_status)s, %(place_neighbour)s::uuid, %(place_goes_after)s)
    """
)
GET_PLACED = statement(
    "SELECT version, {document} FROM applications WHERE id = %(id)s", document=columns(Application, "applications")
)
