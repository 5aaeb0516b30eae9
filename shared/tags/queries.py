"""The tags' SQL. What a change of a tag does to applications is its trigger's."""

from shared.db import statement
from shared.documents import change, columns, creation, removal
from shared.holdings import Holding
from shared.tags.models import ListedTag, Tag, TagChanges, TagDraft

CREATE_TAG = creation("tags", fields=TagDraft, shown=Tag)
UPDATE_TAG = change("tags", fields=TagChanges, shown=Tag)
REMOVE_TAG = removal("tags")
GET_TAG = statement("SELECT version, {document} FROM tags WHERE id = %(id)s", document=columns(Tag, "tags"))
LIST_TAGS = statement(
    """
    SELECT {document}, name_key, id
    FROM tags LEFT JOIN (
        SELECT tag, count(*) AS n FROM applications, unnest(applications.tags) AS tag GROUP BY tag
    ) AS used ON used.tag = tags.name
    WHERE %(after_id)s::uuid IS NULL OR (name_key, id) > (%(after_key)s::text, %(after_id)s::uuid)
    ORDER BY name_key, id
    LIMIT %(limit)s
    """,
    document=columns(ListedTag, "tags", applications="coalesce(used.n, 0)"),
)

HELD = (Holding("tags", shown=tuple(Tag.model_fields)),)
