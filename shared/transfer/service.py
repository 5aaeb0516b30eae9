"""Applications in and out: as files for spreadsheets, for other programs, and for another account."""

import asyncio
import json
from datetime import UTC, datetime
from http import HTTPStatus
from uuid import UUID

from shared import db, documents
from shared.db import AnyCaller
from shared.documents import Document, Page
from shared.errors import Problem
from shared.transfer import queries, rows, writing
from shared.transfer.models import (
    ExportQuery,
    Fault,
    Format,
    Import,
    ImportQuery,
    ImportReport,
    ImportRequest,
    RowResult,
    Undoing,
    UndoQuery,
)

MAX_BODY = 10 * 1024 * 1024
"""Bytes of an import's JSON body."""

MAX_APPLICATIONS = 20_000
MAX_BYTES = 64 * 1024 * 1024
"""What one export may hold: a function has 1.5 GB of memory, and others' requests to answer meanwhile."""

FAULTS = {
    "exists": Fault(field="id", code="exists", message="is there already, and says something else: change it there"),
    "unknown_status": Fault(
        field="status",
        code="unknown_status",
        message="is neither a status that we know nor a stage of yours: say what it means in statuses",
    ),
    "not_storable": Fault(field="", code="not_storable", message="has values that cannot be stored together"),
}


class ExportTooLarge(Problem):
    """Carries the limits: ``applications``, and ``bytes`` of their documents."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "export_too_large"
    title = "That is too much for one file; ask for less by status, applied_from and applied_to"
    sqlstate = "JTX13"


async def export(caller: AnyCaller, query: ExportQuery) -> bytes:
    """Every application of the caller's that the query finds, with its history, as a file.

    Raises:
        ExportTooLarge: there are more than MAX_APPLICATIONS, or they are more than MAX_BYTES.
    """
    found = await db.enter(caller).read(
        queries.EXPORT_CSV if query.format == "csv" else queries.EXPORT_JSON,
        status=list(query.status) if query.status else None,
        applied_from=query.applied_from,
        applied_to=query.applied_to,
        most=MAX_APPLICATIONS,
        most_bytes=MAX_BYTES,
    )
    if query.format == "csv":
        return await asyncio.to_thread(writing.as_csv, found)
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    return await asyncio.to_thread(writing.as_json, found[1:], stages=found[0][0], made_at=made_at)


def as_file(kind: Format) -> dict[str, str]:
    """The headers of an export."""
    return {"Content-Disposition": f'attachment; filename="applications.{kind}"'}


async def import_applications(caller: AnyCaller, request: ImportRequest) -> Document[ImportReport]:
    """Write down what a file says, each row by itself: those that fail do not keep the others out.

    A row that was imported before, or comes from an export of this account, makes nothing new.

    Raises:
        ValidationFailed: the file as a whole cannot be read.
    """
    reading = await asyncio.to_thread(rows.read, request)
    import_id = db.uuid7()
    items = await asyncio.to_thread(json.dumps, reading.items, ensure_ascii=False)
    made = await db.enter(caller).write(
        queries.IMPORT,
        import_id=import_id,
        format=reading.format,
        file_name=request.file_name,
        rows=reading.rows,
        unreadable=len(reading.errors),
        dry_run=request.dry_run,
        items=items,
    )
    results = [
        RowResult.model_construct(
            row=number,
            outcome=outcome,
            application_id=application_id if outcome != "would_create" else None,
            errors=[FAULTS[fault]] if fault else [],
            warnings=[Fault(**each) for each in reading.warnings.get(number, ())],
        )
        for number, outcome, application_id, fault in made
    ] + [
        RowResult.model_construct(
            row=number,
            outcome="failed",
            application_id=None,
            errors=[Fault(**each) for each in faults],
            warnings=[Fault(**each) for each in reading.warnings.get(number, ())],
        )
        for number, faults in reading.errors.items()
    ]
    outcomes = [result.outcome for result in results]
    report = ImportReport.model_construct(
        import_id=None if request.dry_run else import_id,
        dry_run=request.dry_run,
        rows=reading.rows,
        created=outcomes.count("created"),
        unchanged=outcomes.count("unchanged"),
        failed=outcomes.count("failed"),
        format=reading.format,
        encoding=reading.encoding,
        delimiter=reading.delimiter,
        mapping=reading.mapping,
        results=sorted(results, key=lambda result: result.row),
    )
    return Document(report.model_dump_json())


async def list_imports(caller: AnyCaller, query: ImportQuery) -> Page[Import]:
    return await documents.page(
        db.enter(caller), queries.LIST_IMPORTS, sort="-created_at", cursor=query.cursor, limit=query.limit
    )


async def undo_import(caller: AnyCaller, import_id: UUID, query: UndoQuery) -> Document[Undoing]:
    """Put what an import made into the trash, but for what was worked on since, unless that is asked for too.

    Raises:
        NotFound: the caller has made no such import.
    """
    first, *kept = await db.enter(caller).write(queries.UNDO_IMPORT, import_id=import_id, force=query.force)
    report = {
        "import_id": str(import_id),
        "trashed": first[2],
        "kept": [{"row": row, "application_id": str(application_id)} for row, application_id, _ in kept],
    }
    return Document(json.dumps(report))
