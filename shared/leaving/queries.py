"""The SQL of leaving, made from what the features declare to hold."""

from psycopg import sql

from shared import accounts, applications, documents, quotas, sessions
from shared.db import statement
from shared.holdings import Holding

# The log goes with the last step, in one piece: erase_account() forgets it.
LOG = (
    Holding(
        "audit_events",
        shown=("id", "event", "succeeded", "actor_id", "session_id", "ip", "user_agent", "facts", "created_at"),
    ),
    Holding("audit_chains", why_not="the length and the last link of the chain of audit events"),
)

# What refers to others stands before them, the account itself last: in this order it goes.
HOLDINGS = (*applications.HELD, *quotas.HELD, *documents.HELD, *sessions.HELD, *LOG, *accounts.HELD)


def _whose(holding: Holding) -> sql.Identifier:
    return sql.Identifier("id" if holding.table == "users" else "user_id")


def _copy(holding: Holding) -> sql.Composed:
    return sql.SQL(
        "SELECT {name} AS name, (SELECT coalesce(json_agg(row_to_json(shown)), '[]')::text "
        "FROM (SELECT {columns} FROM {table} WHERE {whose} = current_setting('app.user_id')::uuid ORDER BY 1) AS shown)"
    ).format(
        name=sql.Literal(holding.table),
        columns=sql.SQL(", ").join(map(sql.Identifier, holding.shown)),
        table=sql.Identifier(holding.table),
        whose=_whose(holding),
    )


def _bite(holding: Holding) -> bytes:
    return statement(
        """
        WITH gone AS (
            DELETE FROM {table} WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM {table} WHERE {whose} = %(user_id)s LIMIT %(batch)s FOR UPDATE SKIP LOCKED))
            RETURNING 1
        )
        SELECT count(*) FROM gone
        """,
        table=sql.Identifier(holding.table),
        whose=_whose(holding),
    )


EXPORT = statement("{copies}", copies=sql.SQL(" UNION ALL ").join(_copy(h) for h in HOLDINGS if h.shown))

TAKE_EXPORT = statement("SELECT quota_take('consumption', 'exports', 1, NULL, interval '0')")

# The last active administrator stays: nobody could make another one. Those who leave at once wait for each other.
LEAVE = statement(
    """
    SELECT deletion_due_at::text FROM request_deletion(make_interval(days => %(days)s), %(mail)s)
    WHERE deletion_due_at IS NOT NULL
    """
)

CANCEL = statement("SELECT cancel_deletion(%(mail)s)")

SHUT = statement(
    """
    UPDATE users SET disabled_at = now() WHERE deletion_due_at <= now() AND disabled_at IS NULL
    """
)

DUE = statement(
    "SELECT id FROM users WHERE deletion_due_at <= now() ORDER BY deletion_due_at LIMIT %(batch)s"
)

BITES = {h.table: _bite(h) for h in HOLDINGS if h not in LOG and h.table != "users"}

ERASE = statement("SELECT erase_account(%(user_id)s)")
