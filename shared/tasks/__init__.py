"""What is to be done, and until when."""

from shared.tasks.models import Task, TaskChanges, TaskDraft, TaskQuery
from shared.tasks.queries import HELD
from shared.tasks.service import create_task, delete_task, get_task, list_tasks, update_task

__all__ = [
    "HELD",
    "Task",
    "TaskChanges",
    "TaskDraft",
    "TaskQuery",
    "create_task",
    "delete_task",
    "get_task",
    "list_tasks",
    "update_task",
]
