"""The SQL of leaving, made from what the features declare to hold."""

from psycopg import sql

from shared import (
    accounts,
    admin,
    applications,
    audit,
    calendar,
    companies,
    contacts,
    documents,
    factors,
    files,
    identities,
    interviews,
    mail,
    notes,
    passkeys,
    quotas,
    recovery,
    reminders,
    saved_views,
    sessions,
    shares,
    stages,
    tags,
    tasks,
    timeline,
    tokens,
    transfer,
    trash,
)
from shared.db import statement
from shared.holdings import Holding

# In this order it goes, the account itself last. The log is forgotten with it, in one piece: by erase_account().
FEATURES = (
    trash,
    shares,
    transfer,
    applications,
    timeline,
    notes,
    interviews,
    tasks,
    reminders,
    calendar,
    files,
    contacts,
    companies,
    stages,
    tags,
    saved_views,
    quotas,
    admin,
    documents,
    mail,
    tokens,
    identities,
    passkeys,
    factors,
    recovery,
    sessions,
    audit,
    accounts,
)
HOLDINGS = tuple(holding for feature in FEATURES for holding in feature.HELD)
LAST = (*audit.HELD, *accounts.HELD)


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

NOTE_EXPORT = statement("SELECT audit('account_exported', %(exported)s)")

# An administrator hands the role over first: so the last one cannot leave. Asked again, the day stays as it was.
LEAVE = statement(
    """
    WITH leaving AS (
        UPDATE users SET deletion_due_at = coalesce(deletion_due_at, now() + make_interval(days => %(days)s))
        WHERE role <> 'admin'
        RETURNING id, deletion_due_at
    ), ended AS (
        UPDATE sessions SET revoked_at = now(), revoked_reason = 'leaving' FROM leaving
        WHERE revoked_at IS NULL AND sessions.id <> current_setting('app.session_id')::uuid
    )
    SELECT json_build_object('deletion_due_at', deletion_due_at)::text,
           audit('account_deletion_requested', id, jsonb_build_object('due', deletion_due_at)), {posted}
    FROM leaving
    """,
    posted=mail.posting("id", facts="jsonb_build_object('due', deletion_due_at)"),
)

RESTORE = statement(
    """
    WITH staying AS (
        UPDATE users SET deletion_due_at = NULL WHERE deletion_due_at > now() RETURNING id
    )
    SELECT audit('account_deletion_cancelled', id), {posted} FROM staying
    """,
    posted=mail.posting("id"),
)

# Nobody signs in to an account that is being taken apart. One who has become an administrator since stays.
SHUT = statement(
    """
    UPDATE users SET disabled_at = coalesce(disabled_at, now())
    WHERE id = (SELECT id FROM users WHERE deletion_due_at <= now() AND role <> 'admin'
                ORDER BY deletion_due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id
    """
)

BITES = {holding.table: _bite(holding) for holding in HOLDINGS if holding not in LAST}

ERASE = statement("SELECT erase_account(%(user_id)s, %(mail_template)s, %(mail_sealed)s)")
