"""The stages of somebody's own pipeline."""

from shared.stages.models import Stage, StageChanges, StageDraft, StageQuery
from shared.stages.queries import HELD
from shared.stages.service import (
    LastStageOfCategory,
    StageExists,
    TooManyStages,
    create_stage,
    get_stage,
    list_stages,
    retire_stage,
    update_stage,
)

__all__ = [
    "HELD",
    "LastStageOfCategory",
    "Stage",
    "StageChanges",
    "StageDraft",
    "StageExists",
    "StageQuery",
    "TooManyStages",
    "create_stage",
    "get_stage",
    "list_stages",
    "retire_stage",
    "update_stage",
]
