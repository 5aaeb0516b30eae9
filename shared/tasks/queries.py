"""The SQL of tasks."""

from typing import LiteralString

from psycopg import sql

from shared.db import statement
from shared.documents import change, columns, creation
from shared.holdings import Holding
from shared.tasks.models import Task, TaskChanges, TaskDraft

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


def _list_in_order(key: LiteralString, beyond: LiteralString, direction: LiteralString) -> bytes:
    return statement(
        """
        SELECT {document} AS document, ({key})::text AS sort_key, id FROM tasks
        WHERE (%(application_id)s::uuid IS NULL OR application_id = %(application_id)s::uuid)
          AND (%(done)s::bool IS NULL OR (%(done)s::bool AND done) OR (NOT %(done)s::bool AND NOT done))
          AND (%(due_after)s::timestamptz IS NULL
               OR due_at IS NOT NULL AND coalesce(due_at, 'infinity') >= %(due_after)s::timestamptz)
          AND (%(due_before)s::timestamptz IS NULL OR coalesce(due_at, 'infinity') < %(due_before)s::timestamptz)
          AND (%(after_id)s::uuid IS NULL OR ({key}, id) {beyond} (%(after_key)s::timestamptz, %(after_id)s::uuid))
        ORDER BY {key} {direction}, id {direction}
        LIMIT %(limit)s
        """,
        document=DOCUMENT,
        key=sql.SQL(key),
        beyond=sql.SQL(beyond),
        direction=sql.SQL(direction),
    )


LIST_TASKS = {
    "due_at": _list_in_order("coalesce(due_at, 'infinity')", ">", "ASC"),
    "-created_at": _list_in_order("created_at", "<", "DESC"),
}

HELD = (Holding("tasks", shown=tuple(name for name in Task.model_fields if name != "done")),)
