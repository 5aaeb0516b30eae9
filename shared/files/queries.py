"""The SQL of files. What decides is in functions of the migration: they hold the lock of the quota's counter."""

from shared.db import statement
from shared.documents import Creation, change, columns
from shared.files.models import File, FileChanges
from shared.holdings import Holding

DOCUMENT = columns(File, "files")

# The size and the digest are as announced, or as counted where the file is already in hand.
BEGIN_FILE = statement(
    """
    SELECT user_id, id, expires_at, version, {document} AS document
    FROM begin_file(%(name)s, %(kind)s, %(size)s, %(sha256)s, %(series_id)s::uuid, %(application_id)s::uuid,
                    %(space)s) AS files
    """,
    document=DOCUMENT,
)
BEGIN_FILE_ONCE = statement(
    """
    WITH made AS (
        SELECT user_id, id, expires_at, version, {document} AS document
        FROM begin_file(%(name)s, %(kind)s, %(size)s, %(sha256)s, %(series_id)s::uuid, %(application_id)s::uuid,
                        %(space)s) AS files
    ), kept AS (
        INSERT INTO idempotency_keys (key, fingerprint, answer_id, answer_version, answer)
        SELECT %(retry_key)s, %(retry_fingerprint)s, id, version, document FROM made
    )
    SELECT user_id, id, expires_at, version, document FROM made
    """,
    document=DOCUMENT,
)
ACCEPT_FILE = statement(
    """
    SELECT id, version, {document} AS document
    FROM accept_file(%(id)s, %(name)s, %(media_type)s, %(statistics)s::jsonb, %(state)s) AS files
    """,
    document=DOCUMENT,
)
ACCEPT_FILE_ONCE = statement(
    """
    WITH made AS (
        SELECT id, version, {document} AS document
        FROM accept_file(%(id)s, %(name)s, %(media_type)s, %(statistics)s::jsonb, %(state)s) AS files
    ), kept AS (
        INSERT INTO idempotency_keys (key, fingerprint, answer_id, answer_version, answer)
        SELECT %(retry_key)s, %(retry_fingerprint)s, id, version, document FROM made
    )
    SELECT id, version, document FROM made
    """,
    document=DOCUMENT,
)
DROP_FILE = statement("SELECT drop_file(%(id)s)")

GET_FILE = statement("SELECT version, {document} FROM files WHERE id = %(id)s", document=DOCUMENT)
FIND_FILE = statement(
    """
    SELECT user_id, id, state, name, media_type, size, sha256, expires_at, version, {document} AS document
    FROM files WHERE id = %(id)s
    """,
    document=DOCUMENT,
)
LIST_FILES = statement(
    """
    SELECT {document} AS document, created_at::text, id FROM files
    WHERE user_id = current_setting('app.user_id')::uuid
      AND (%(kind)s::text IS NULL OR kind = %(kind)s)
      AND (%(state)s::text IS NULL OR state = %(state)s)
      AND (%(series_id)s::uuid IS NULL OR series_id = %(series_id)s::uuid)
      AND (%(application_id)s::uuid IS NULL OR id IN (
          SELECT file_id FROM application_files WHERE application_id = %(application_id)s::uuid))
      AND (%(after_id)s::uuid IS NULL OR (created_at, id) < (%(after_key)s::timestamptz, %(after_id)s::uuid))
    ORDER BY created_at DESC, id DESC
    LIMIT %(limit)s
    """,
    document=DOCUMENT,
)
UPDATE_FILE = change("files", fields=FileChanges, shown=File)

LINK_FILE = Creation(
    statement(
        """
        WITH made AS (
            SELECT id, version, {document} AS document FROM files WHERE id = %(file_id)s FOR KEY SHARE
        ), linked AS (
            INSERT INTO application_files (application_id, file_id) SELECT %(application_id)s, id FROM made
            ON CONFLICT DO NOTHING
        )
        SELECT id, version, document FROM made
        """,
        document=DOCUMENT,
    ),
    statement(
        """
        WITH made AS (
            SELECT id, version, {document} AS document FROM files WHERE id = %(file_id)s FOR KEY SHARE
        ), linked AS (
            INSERT INTO application_files (application_id, file_id) SELECT %(application_id)s, id FROM made
            ON CONFLICT DO NOTHING
        ), kept AS (
            INSERT INTO idempotency_keys (key, fingerprint, answer_id, answer_version, answer)
            SELECT %(retry_key)s, %(retry_fingerprint)s, id, version, document FROM made
        )
        SELECT id, version, document FROM made
        """,
        document=DOCUMENT,
    ),
)
UNLINK_FILE = statement(
    """
    DELETE FROM application_files WHERE application_id = %(application_id)s AND file_id = %(file_id)s
    RETURNING file_id
    """
)

# ---------------------------------------------------------------- what nobody asks for

# The newest first: one that a scanner never answers for keeps no other waiting.
UNSCANNED = statement(
    """
    SELECT user_id, id, state FROM files WHERE state IN ('uploaded', 'scanning') ORDER BY updated_at DESC
    LIMIT %(batch)s
    """
)
SETTLE_SCAN = statement(
    """
    UPDATE files SET state = %(verdict)s, version = version + 1, updated_at = now()
    WHERE user_id = %(user_id)s AND id = %(id)s AND state IN ('uploaded', 'scanning') AND state <> %(verdict)s
    RETURNING id
    """
)
# A row goes before its content: then nobody can have it back, or complete it, while its content is being removed.
FORGET_PENDING = statement(
    """
    DELETE FROM files WHERE id = ANY(ARRAY(
        SELECT id FROM files WHERE state = 'pending' AND expires_at < now() LIMIT %(batch)s FOR UPDATE SKIP LOCKED))
    RETURNING user_id, id
    """
)
EMPTY_TRASH = statement(
    """
    DELETE FROM trash WHERE id = ANY(ARRAY(
        SELECT id FROM trash WHERE deleted_at <= now() - make_interval(days => %(days)s) AND kind = 'files'
        LIMIT %(batch)s FOR UPDATE SKIP LOCKED))
    RETURNING user_id, id
    """
)
KNOWN = statement(
    """
    SELECT user_id, id FROM files WHERE id = ANY(%(ids)s::uuid[])
    UNION ALL
    SELECT user_id, id FROM trash WHERE id = ANY(%(ids)s::uuid[])
    """
)

HELD = (
    Holding("application_files", shown=("application_id", "file_id", "created_at")),
    Holding("files", shown=tuple(File.model_fields)),
)
