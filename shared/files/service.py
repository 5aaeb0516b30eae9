"""Documents: how they come in, how they are had again, and how nothing of them stays behind.

A file's row and its content are in two places, and a process may die between any two steps. So the row is first, and
says that its content is waited for; what never came is forgotten when its time is over; and a content without a row is
found by going through the store. Nothing else has to be remembered.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from time import monotonic
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from shared import applications, db, documents, settings
from shared.db import AnyCaller, Guard
from shared.documents import Document, Page, Replayed, Retry, Versions
from shared.errors import FileTooLarge, NotFound, Problem, ValidationFailed
from shared.fields import Contents, Elsewhere, Upload
from shared.files import inspection, queries, stores
from shared.files.models import (
    MAX_DIRECT,
    MAX_SPACE,
    MAX_UPLOAD,
    ContentQuery,
    File,
    FileChanges,
    FileDraft,
    FileLink,
    FileQuery,
    LinkedFileQuery,
    UploadAddress,
    UploadBegun,
    UploadRequest,
)
from shared.files.stores import FilesUnavailable, Missing, Taken, UploadRefused, key_of, store

UPLOAD_MINUTES = 15
"""How long an address to upload to is good. The file is waited for, and counted, five minutes longer."""

TRASH_DAYS = 30
"""How long the content of a deleted file is kept, as everything in the trash."""

ORPHAN_AGE = timedelta(days=1)
"""How old a content without a row is when it goes: what is younger may be on its way in."""

BATCH = 100
"""Files a statement takes: the content of each is removed by a request of its own."""

BUDGET = 120.0
"""Seconds in which one run begins something new; the host stops a function after five minutes."""

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR" + b"-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
"""What every scanner takes for malware, and is none (eicar.org). In two parts, or this file would be taken for it."""

VERDICTS: Mapping[str, Literal["clean", "rejected"]] = {"No threats found": "clean", "Malicious": "rejected"}

logger = logging.getLogger(__name__)


class FileSpaceFull(Problem):
    """Carries ``limit`` and ``used``, in bytes; what is in the trash counts."""

    status = HTTPStatus.CONFLICT
    code = "file_space_full"
    title = "There is no room for this file; delete others, or wait until the trash is emptied"
    sqlstate = "JTF09"


class FileNotClean(Problem):
    """Carries the ``state`` that the file is in."""

    status = HTTPStatus.CONFLICT
    code = "file_not_clean"
    title = "The file cannot be had in the state that it is in"


class FileNotUploaded(Problem):
    status = HTTPStatus.CONFLICT
    code = "file_not_uploaded"
    title = "Nothing was uploaded yet at the address that was given"


# ---------------------------------------------------------------- in


async def upload_file(caller: AnyCaller, upload: Upload[FileDraft], *, retry: Retry | None) -> Document[File]:
    """Keep a file that came with the request. It uses one of the quota ``resume_uploads``, for good.

    Raises:
        FileTooLarge, ValidationFailed: too much, or nothing that is taken; nothing was used.
        QuotaExceeded, FileSpaceFull: no room for it.
        FilesUnavailable: the store does not answer; nothing was used.
    """
    content, draft = upload.content, upload.fields
    if len(content) > MAX_UPLOAD:
        raise FileTooLarge(limit=MAX_UPLOAD)
    found = await asyncio.to_thread(inspection.inspect, content)
    name = inspection.named(draft.name or upload.name, found.media_type)
    digest = hashlib.sha256(content).hexdigest()
    door = db.enter(caller)
    keyed = _keyed(retry)
    try:
        rows = await door.guarded_by(*keyed).write(
            queries.BEGIN_FILE, **dict(draft) | {"name": name}, size=len(content), sha256=digest, space=MAX_SPACE
        )
        user_id, file_id = rows[0][:2]
        try:
            await store().put(key_of(user_id, file_id), content)
            statement = queries.ACCEPT_FILE_ONCE if retry else queries.ACCEPT_FILE
            rows = await door.guarded_by(*keyed).write(statement, id=file_id, **_accepted(name, found))
        except BaseException:
            # What the row says no more, the next run of the timer removes: also if this is not reached.
            await _drop(door, user_id, file_id)
            raise
    except Replayed as first:
        return Document(first.facts["answer"], UUID(first.facts["id"]), first.facts["version"], replayed=True)
    _, version, document = rows[0]
    return Document(document, file_id, version)


async def begin_upload(caller: AnyCaller, request: UploadRequest, *, retry: Retry | None) -> Document[UploadBegun]:
    """Announce a file, and learn where to put it. Asked again with the same key, the address is given again.

    Raises:
        QuotaExceeded, FileSpaceFull: no room for it.
        FilesUnavailable: the store gives no address.
    """
    door = db.enter(caller).guarded_by(*_keyed(retry))
    statement = queries.BEGIN_FILE_ONCE if retry else queries.BEGIN_FILE
    try:
        rows = await door.write(statement, **dict(request), space=MAX_SPACE)
    except Replayed as first:
        rows = await db.enter(caller).read(queries.FIND_FILE, id=UUID(first.facts["id"]))
        if not rows or rows[0][2] != "pending":  # it is here, or it was given up: no address is good for it any more
            raise NotFound from None
        user_id, file_id, *_, expires_at, version, document = rows[0]
        replayed = True
    else:
        user_id, file_id, expires_at, version, document = rows[0]
        replayed = False
    until = expires_at - timedelta(minutes=20 - UPLOAD_MINUTES)
    address = await store().upload_address(key_of(user_id, file_id), size=request.size, until=until)
    upload = UploadAddress(method="PUT", url=address.url, headers=address.headers, expires_at=until)
    return Document(
        f'{document[:-1]},"upload":{upload.model_dump_json()}}}', file_id, version=version, replayed=replayed
    )


async def receive_content(file_id: UUID, content: bytes, query: ContentQuery) -> None:
    """Keep what comes to an address of ours: the folder's stand-in for that of a store of its own.

    Raises:
        UploadRefused: the address is not good, or something was put there.
    """
    key = stores.granted(file_id, query.token, size=len(content))
    try:
        await store().put(key, content)
    except Taken:
        raise UploadRefused from None


async def complete_upload(caller: AnyCaller, file_id: UUID) -> Document[File]:
    """Look at what was uploaded, and keep it if it is what was announced; else it is removed, and nothing was used.

    Raises:
        NotFound: the caller has no such file, or it was not completed in time.
        FileNotUploaded: nothing is there yet.
        ValidationFailed: it is not what was announced, or nothing that is taken.
        ReservationExpired: it came too late, and there is no room any more.
    """
    door = db.enter(caller)
    rows = await door.read(queries.FIND_FILE, id=file_id)
    if not rows:
        raise NotFound
    user_id, _, state, name, _, size, sha256, _, version, document = rows[0]
    if state != "pending":
        return Document(document, file_id, version)
    key = key_of(user_id, file_id)
    try:
        found = await _verified(key, size, sha256)
    except Missing:
        raise FileNotUploaded from None
    except ValidationFailed:
        await _drop(door, user_id, file_id)
        raise
    rows = await door.write(
        queries.ACCEPT_FILE, id=file_id, **_accepted(inspection.named(name, found.media_type), found)
    )
    _, version, document = rows[0]
    return Document(document, file_id, version)


async def _verified(key: str, size: int, sha256: str) -> inspection.Inspected:
    there = await store().size(key)
    if there is None:
        raise Missing
    if there != size:
        raise ValidationFailed.of("size", "size", "must be the number of bytes that are uploaded")
    content = await store().read(key, limit=MAX_DIRECT + 1)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValidationFailed.of("sha256", "sha256", "must be the digest of what is uploaded")
    return await asyncio.to_thread(inspection.inspect, content)


def _accepted(name: str, found: inspection.Inspected) -> dict[str, Any]:
    # Whoever scans says later whether it is clean; where nobody does, it is.
    state = "clean" if settings.current().file_scanner == "none" else "uploaded"
    statistics = found.statistics
    return {
        "name": name,
        "media_type": found.media_type,
        "statistics": None if statistics is None else Jsonb(statistics),
        "state": state,
    }


def _keyed(retry: Retry | None) -> tuple[Guard, ...]:
    if retry is None:
        return ()
    return (Guard(documents.REPLAY, {"retry_key": retry.key, "retry_fingerprint": retry.fingerprint}),)


async def _drop(door: db.Door, user_id: UUID, file_id: UUID) -> None:
    """Take an announcement back, and then what was put; if the store does not answer, it is an orphan some day."""
    rows = await door.write(queries.DROP_FILE, id=file_id)
    if rows[0][0]:
        await _remove([key_of(user_id, file_id)])


# ---------------------------------------------------------------- out


async def list_files(caller: AnyCaller, query: FileQuery) -> Page[File]:
    return await documents.page(db.enter(caller), queries.LIST_FILES, sort="-created_at", **dict(query))


async def get_file(caller: AnyCaller, file_id: UUID) -> Document[File]:
    return await documents.get(db.enter(caller), queries.GET_FILE, id=file_id)


async def get_content(caller: AnyCaller, file_id: UUID) -> Contents | Elsewhere:
    """The content of a file that is clean, or where it can be had for five minutes.

    Raises:
        FileNotClean: it is on its way, or was rejected.
    """
    door = db.enter(caller)
    rows = await door.read(queries.FIND_FILE, id=file_id)
    if not rows:
        raise NotFound
    user_id, _, state, name, media_type, size, sha256, *_ = rows[0]
    if state in ("uploaded", "scanning"):
        state = await _scan(user_id, file_id, state)
    if state != "clean":
        raise FileNotClean(state=state)
    key, disposition = key_of(user_id, file_id), inspection.disposition(inspection.named(name, media_type))
    if location := await store().download_address(key, media_type=media_type, disposition=disposition):
        return Elsewhere(location)
    try:
        content = await store().read(key, limit=size)
    except Missing as error:
        raise FilesUnavailable from error
    return Contents(content, media_type, disposition, sha256)


async def update_file(caller: AnyCaller, file_id: UUID, changes: FileChanges, *, versions: Versions) -> Document[File]:
    return await documents.update(db.enter(caller), queries.UPDATE_FILE, file_id, changes, versions=versions)


async def delete_file(caller: AnyCaller, file_id: UUID, *, versions: Versions) -> None:
    """Put it into the trash. Its content stays as long as it does; what it used of the quota stays used."""
    await documents.discard(db.enter(caller), "files", file_id, versions=versions)


async def list_application_files(caller: AnyCaller, application_id: UUID, query: LinkedFileQuery) -> Page[File]:
    door = db.enter(caller).guarded_by(applications.within(application_id))
    return await documents.page(
        door, queries.LIST_FILES, sort="-created_at", kind=None, state=None, series_id=None, **dict(query)
    )


async def link_file(caller: AnyCaller, application_id: UUID, link: FileLink, *, retry: Retry | None) -> Document[File]:
    """Write down that a file was sent with an application; that it was written down before is as good.

    Raises:
        ValidationFailed: the caller has no such file.
    """
    door = db.enter(caller).guarded_by(applications.within(application_id, locked=True))
    try:
        return await documents.create(door, queries.LINK_FILE, link, retry=retry, application_id=application_id)
    except IndexError:
        raise ValidationFailed.of("file_id", "unknown_file", "must be one of your files") from None


async def unlink_file(caller: AnyCaller, application_id: UUID, file_id: UUID) -> None:
    """Raises NotFound: it was not linked."""
    rows = await db.enter(caller).write(queries.UNLINK_FILE, application_id=application_id, file_id=file_id)
    if not rows:
        raise NotFound


# ---------------------------------------------------------------- scanning


async def _scan(user_id: UUID, file_id: UUID, state: str) -> str:
    """Ask the scanner, and write down what it says; the state that the file is in then."""
    key = key_of(user_id, file_id)
    try:
        match settings.current().file_scanner:
            case "none":  # the scanner that it waited for was given up
                verdict: str = "clean"
            case "eicar":
                verdict = "rejected" if EICAR in await store().read(key, limit=MAX_DIRECT) else "clean"
            case "defender":
                verdict = VERDICTS.get(await store().scan_result(key) or "", "scanning")
    except Missing as error:
        raise FilesUnavailable from error
    if verdict != state:
        await db.as_service().write(queries.SETTLE_SCAN, user_id=user_id, id=file_id, verdict=verdict)
    return verdict


# ---------------------------------------------------------------- all of somebody's


async def contents_of(user_id: UUID, tables: Mapping[str, str]) -> dict[str, bytes]:
    """The contents of somebody's files, by names that are theirs alone; ``tables`` are the rows, in JSON, that a copy
    of the account has. Those in the trash are among them; those that nobody may have, since they are not clean, not.

    Raises:
        FilesUnavailable: the store does not answer, or does not have one of them.
    """
    rows = json.loads(tables["files"])
    rows += [kept["content"][0]["row"] for kept in json.loads(tables["trash"]) if kept["kind"] == "files"]
    found = {}
    for row in rows:
        if row["state"] != "clean":
            continue
        name = inspection.named(row["name"], row["media_type"])
        try:
            content = await store().read(key_of(user_id, UUID(row["id"])), limit=row["size"])
        except Missing as error:
            raise FilesUnavailable from error
        found[f"files/{row['id']}-{name}"] = content
    return found


async def forget(user_id: UUID) -> None:
    """Remove every content of somebody's, whatever the database says of it.

    Raises:
        FilesUnavailable: the store does not answer; done again, it goes on.
    """
    async for keys in store().keys(f"{user_id}/"):
        for key in keys:
            await store().delete(key)


# ---------------------------------------------------------------- the timer


async def tidy(*, batch: int = BATCH, budget: float = BUDGET) -> None:
    """Ask the scanner for what it has not said; forget what never came, what was in the trash long enough, and what
    nobody has a row for.

    Each step may be done twice, or by several at once, or be the last one for now: the next run goes on.
    """
    stop_at = monotonic() + budget
    door = db.as_service()
    for user_id, file_id, state in await door.write(queries.UNSCANNED, batch=batch):
        if monotonic() < stop_at:
            try:
                await _scan(user_id, file_id, state)
            except FilesUnavailable as error:  # of this one, perhaps: the others are looked at all the same
                logger.warning("file %s cannot be scanned now: %s", file_id, error.__cause__)
    for statement in (queries.FORGET_PENDING, queries.EMPTY_TRASH):
        gone: list[Any] = [None] * batch
        while len(gone) == batch and monotonic() < stop_at:
            gone = await door.write(statement, batch=batch, days=TRASH_DAYS)
            await _remove([key_of(*row) for row in gone])
    async for keys in store().keys(before=datetime.now(UTC) - ORPHAN_AGE):
        if monotonic() >= stop_at:
            logger.warning("ran out of time; the next run begins anew")
            return
        await _remove(await _orphans(keys))


async def _orphans(keys: list[str]) -> list[str]:
    """Those keys that no row has."""
    ids = {key: UUID(match[2]) for key in keys if (match := stores.KEY.fullmatch(key))}
    rows = await db.as_service().read(queries.KNOWN, ids=list(ids.values()))
    known = {key_of(*row) for row in rows}
    return [key for key in keys if key not in known]


async def _remove(keys: list[str]) -> None:
    """What cannot be removed now is an orphan, and goes on another day."""
    for key in keys:
        try:
            await store().delete(key)
        except FilesUnavailable as error:
            logger.warning("a content stays for now: %s", error.__cause__)
