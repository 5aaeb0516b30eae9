"""The outbox's SQL."""

from typing import LiteralString

from psycopg import sql

from shared.db import statement
from shared.holdings import Holding

# One statement for any number of messages, none among them.
POST = statement(
    """
    SELECT post_mail(%(mail_user)s, recipient, template, sealed)
    FROM unnest(%(mail_recipients)s::text[], %(mail_templates)s::text[], %(mail_sealed)s::bytea[])
         AS message (recipient, template, sealed)
    """
)


def posting(user: LiteralString, *, name: str = "mail", facts: LiteralString = "'{}'") -> sql.Composed:
    """A call of ``post_mail`` for a feature's own statement, with the parameters that ``Message.params`` gives.

    ``user`` and ``facts`` are SQL: whose message it is (NULL: nobody's), and a jsonb object of the facts of ``later``.
    Put it into RETURNING or into the outermost SELECT: a WITH that nobody reads from is never run.
    """
    return sql.SQL("post_mail({user}, {recipient}, {template}, {sealed}, {facts})").format(
        user=sql.SQL(user),
        recipient=sql.Placeholder(f"{name}_recipient"),
        template=sql.Placeholder(f"{name}_template"),
        sealed=sql.Placeholder(f"{name}_sealed"),
        facts=sql.SQL(facts),
    )


# A provider takes attempts for one request if they say the same id and time, but only for five minutes after that time.
LEASE = statement(
    """
    WITH due AS (
        SELECT id FROM mail_outbox
        WHERE state = 'queued' AND due_at <= now()
        ORDER BY due_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED
    )
    UPDATE mail_outbox AS leased
    SET due_at = now() + make_interval(secs => %(lease)s), attempts = attempts + 1,
        first_sent_at = CASE WHEN first_sent_at > now() - interval '4 minutes' THEN first_sent_at ELSE now() END
    FROM due
    WHERE leased.id = due.id
    RETURNING leased.id, attempts AS attempt, recipient, template, sealed, facts, now() - created_at AS age,
              first_sent_at
    """
)

# Only the lease that sent it may say what became of it: an older one has lost its say.
RECORD = statement(
    """
    UPDATE mail_outbox
    SET state = %(state)s, last_error = %(error)s,
        due_at = now() + make_interval(secs => %(delay)s),
        sealed = CASE %(state)s WHEN 'queued' THEN sealed END,
        facts = CASE %(state)s WHEN 'queued' THEN facts ELSE '{}' END,
        settled_at = CASE %(state)s WHEN 'queued' THEN NULL ELSE now() END
    WHERE id = %(id)s AND attempts = %(attempt)s AND state = 'queued'
    RETURNING id
    """
)

HELD = (Holding("mail_outbox", shown=("id", "template", "recipient", "state", "created_at", "settled_at")),)
