"""Interviews: when, where, with whom, and how it went."""

from shared.interviews.models import Interview, InterviewChanges, InterviewDraft, InterviewPage, InterviewQuery
from shared.interviews.queries import HELD
from shared.interviews.service import (
    create_interview,
    delete_interview,
    get_interview,
    list_application_interviews,
    list_interviews,
    update_interview,
)

__all__ = [
    "HELD",
    "Interview",
    "InterviewChanges",
    "InterviewDraft",
    "InterviewPage",
    "InterviewQuery",
    "create_interview",
    "delete_interview",
    "get_interview",
    "list_application_interviews",
    "list_interviews",
    "update_interview",
]
