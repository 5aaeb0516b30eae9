"""What may go, in bites: each statement takes rows nobody else is taking, so any number of purges may run at once."""

from typing import LiteralString

from psycopg import sql

from shared.db import statement


def _bite(table: LiteralString, key: LiteralString, is_over: LiteralString) -> bytes:
    return statement(
        """
        WITH gone AS (
            -- An array is made once; a subquery of IN may be run again, and then takes more than its limit.
            DELETE FROM {table} WHERE {key} = ANY(ARRAY(
                SELECT {key} FROM {table} WHERE {is_over} LIMIT %(batch)s FOR UPDATE SKIP LOCKED))
            RETURNING 1
        )
        SELECT count(*) FROM gone
        """,
        table=sql.Identifier(table),
        key=sql.Identifier(key),
        is_over=sql.SQL(is_over),
    )


PURGES: dict[str, bytes] = {
    # An old token of a revoked session is still recognised as stolen for 30 days.
    "sessions": _bite(
        "sessions",
        "id",
        "idle_expires_at <= now() OR absolute_expires_at <= now() OR revoked_at <= now() - interval '30 days'",
    ),
    "idempotency_keys": _bite("idempotency_keys", "ctid", "created_at <= now() - interval '24 hours'"),
    # A committed or released entry answers its key's repetition for 30 days; one that expired can still be committed.
    "quota_entries": _bite("quota_entries", "id", "greatest(created_at, expires_at) <= now() - interval '30 days'"),
    # Facts went when the message did; what stays a while tells whoever asks where a mail is, and which never arrived.
    # Of an address without an account nothing stays.
    "mail_outbox": _bite(
        "mail_outbox",
        "id",
        """
        settled_at <= now() - CASE WHEN user_id IS NULL THEN interval '0' WHEN state = 'sent' THEN interval '30 days'
                                   ELSE interval '90 days' END
        """,
    ),
    "one_time_tokens": _bite("one_time_tokens", "digest", "expires_at <= now()"),
    "challenges": _bite("challenges", "digest", "expires_at <= now()"),
    # A setup that was never confirmed can be, for an hour.
    "totp": _bite("totp", "user_id", "enabled_at IS NULL AND offered_at <= now() - interval '1 hour'"),
    # A token that has ended still says so for 30 days, and its use is still written down.
    "personal_access_tokens": _bite(
        "personal_access_tokens", "id", "least(expires_at, revoked_at) <= now() - interval '30 days'"
    ),
    "shares": _bite("shares", "id", "expires_at <= now()"),
    # What was due two days ago reminds nobody any more, so that it did need not be known.
    "reminders_sent": _bite("reminders_sent", "ctid", "due_at <= now() - interval '7 days'"),
    "audit_events": statement("SELECT audit_forget_expired(%(audit_days)s, %(batch)s)"),
    # What lies in a store of its own goes first: for files, the trash is the list of what is to be removed there.
    "trash": _bite("trash", "id", "deleted_at <= now() - interval '30 days' AND kind <> 'files'"),
    "rate_limits": _bite("rate_limits", "bucket", "reset_at <= now()"),
}
