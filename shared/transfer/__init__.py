"""Applications in and out: exports, imports, and taking an import back."""

from shared.transfer.models import (
    ExportQuery,
    Import,
    ImportQuery,
    ImportReport,
    ImportRequest,
    Undoing,
    UndoQuery,
)
from shared.transfer.queries import HELD
from shared.transfer.service import (
    MAX_BODY,
    ExportTooLarge,
    as_file,
    export,
    import_applications,
    list_imports,
    undo_import,
)

__all__ = [
    "HELD",
    "MAX_BODY",
    "ExportQuery",
    "ExportTooLarge",
    "Import",
    "ImportQuery",
    "ImportReport",
    "ImportRequest",
    "UndoQuery",
    "Undoing",
    "as_file",
    "export",
    "import_applications",
    "list_imports",
    "undo_import",
]
