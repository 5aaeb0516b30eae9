"""The SQL of tasks."""

from typing import LiteralString, get_args

from psycopg import sql

from shared.db import statement
from shared.documents import SortKey, change, columns, creation, in_orders
from shared.holdings import Holding
from shared.tasks.models import Sort, Task, TaskChanges, TaskDraft

DOCUMENT = columns(Task, "tasks")

# A task of one application's is asked for as that, any other by its id alone.
ROW: LiteralString = "id = %(id)s AND (%(application_id)s::uuid IS NULL OR application_id = %(application_id)s::uuid)"

CREATE_TASK = creation("tasks", fields=TaskDraft, shown=Task, more=("application_id",))
UPDATE_TASK = change("tasks", fields=TaskChanges, shown=Task, row=ROW)
GET_TASK = statement("SELECT version, {document} FROM tasks WHERE {row}", document=DOCUMENT, row=sql.SQL(ROW))

WITHIN_APPLICATION = statement(
    """
    SELECT refuse('JT404')
    WHERE NOT EXISTS (SELECT FROM tasks WHERE id = %(task_id)s AND application_id = %(task_application_id)s)
    """
)


SORT_KEYS = {
    "due_at": SortKey("coalesce(due_at, 'infinity')", "timestamptz"),
    "created_at": SortKey("created_at", "timestamptz"),
}
LIST_TASKS = in_orders(
    get_args(Sort),
    SORT_KEYS,
    """
    SELECT {document} AS document, ({key})::text AS sort_key, id FROM tasks
    WHERE (%(application_id)s::uuid IS NULL OR application_id = %(application_id)s::uuid)
      AND (%(done)s::bool IS NULL OR (%(done)s::bool AND done) OR (NOT %(done)s::bool AND NOT done))
      AND (%(due_after)s::timestamptz IS NULL
           OR due_at IS NOT NULL AND coalesce(due_at, 'infinity') >= %(due_after)s::timestamptz)
      AND (%(due_before)s::timestamptz IS NULL OR coalesce(due_at, 'infinity') < %(due_before)s::timestamptz)
      AND {beyond}
    ORDER BY {order}
    LIMIT %(limit)s
    """,
    document=DOCUMENT,
)

HELD = (Holding("tasks", shown=tuple(name for name in Task.model_fields if name != "done")),)
