"""The SQL of contacts."""

from typing import LiteralString, get_args

from psycopg import sql

from shared.contacts.models import Contact, ContactChanges, ContactDraft, LinkedContact, Sort
from shared.db import statement
from shared.documents import Creation, SortKey, change, columns, creation, in_orders
from shared.holdings import Holding

COMPANY: LiteralString = "name_of_company(contacts.company_id)"
"""Also of a company that the same statement has made."""

GIVEN_COMPANY: LiteralString = """
    CASE WHEN %(company)s::text IS NULL THEN %(company_id)s::uuid
         ELSE company_named(current_setting('app.user_id')::uuid, %(company)s::text) END
"""
CHANGED_COMPANY: LiteralString = """
    CASE WHEN changes ->> 'company' IS NOT NULL THEN company_named(contacts.user_id, changes ->> 'company')
         WHEN changes ?| '{company,company_id}' THEN given.company_id
         ELSE contacts.company_id END
"""
DOCUMENT = columns(Contact, "contacts", company=COMPANY)

CREATE_CONTACT = creation(
    "contacts",
    fields=ContactDraft,
    shown=Contact,
    besides=("company",),
    made={"company_id": GIVEN_COMPANY},
    company=COMPANY,
)
UPDATE_CONTACT = change(
    "contacts",
    fields=ContactChanges,
    shown=Contact,
    besides=("company",),
    made={"company_id": CHANGED_COMPANY},
    company=COMPANY,
)
GET_CONTACT = statement("SELECT version, {document} FROM contacts WHERE id = %(id)s", document=DOCUMENT)

SORT_KEYS = {
    "name": SortKey("name_key", "text"),
    "created_at": SortKey("created_at", "timestamptz"),
}


LIST_CONTACTS = in_orders(
    get_args(Sort),
    SORT_KEYS,
    """
    SELECT {document} AS document, {key}::text AS sort_key, id FROM contacts
    WHERE (%(company_id)s::uuid IS NULL OR company_id = %(company_id)s::uuid)
      AND (%(q)s::text IS NULL
           OR strpos(lower(concat_ws(E'\n', name, email, title, {company})), lower(%(q)s)) > 0)
      AND {beyond}
    ORDER BY {order}
    LIMIT %(limit)s
    """,
    document=DOCUMENT,
    company=sql.SQL(COMPANY),
)

# ---------------------------------------------------------------- who has to do with an application

LINKED = columns(
    LinkedContact,
    "contacts",
    company=COMPANY,
    role="link.role",
    created_at="link.created_at",
    updated_at="link.updated_at",
    version="link.version",
)

LINK = sql.SQL(
    """
    WITH made AS (
        INSERT INTO contacts (company_id, name, title, email, phone, url, notes)
        SELECT {company}, %(name)s, %(title)s, %(email)s, %(phone)s, %(url)s, %(notes)s
        WHERE %(contact_id)s::uuid IS NULL
        RETURNING *
    ), link AS (
        INSERT INTO application_contacts (application_id, contact_id, role)
        SELECT %(application_id)s, coalesce(%(contact_id)s::uuid, (SELECT id FROM made)), %(role)s
        ON CONFLICT (application_id, contact_id) DO UPDATE
        SET role = coalesce(EXCLUDED.role, application_contacts.role),
            version = application_contacts.version
                      + (coalesce(EXCLUDED.role, '') NOT IN ('', coalesce(application_contacts.role, '')))::int,
            updated_at = now()
        RETURNING contact_id, role, created_at, updated_at, version
    ), shown AS (
        SELECT contacts.id, link.version, {document} AS document
        FROM link JOIN (TABLE made UNION ALL SELECT * FROM contacts WHERE id = %(contact_id)s::uuid) AS contacts
                  ON contacts.id = link.contact_id
    )
    """
).format(company=sql.SQL(GIVEN_COMPANY), document=LINKED)
KEPT = sql.SQL(
    """
    , kept AS (
        INSERT INTO idempotency_keys (key, fingerprint, answer_id, answer_version, answer)
        SELECT %(retry_key)s, %(retry_fingerprint)s, id, version, document FROM shown
    )
    """
)
ANSWER = sql.SQL("SELECT id, version, document FROM shown")
LINK_CONTACT = Creation((LINK + ANSWER).as_bytes(None), (LINK + KEPT + ANSWER).as_bytes(None))

GET_LINK = statement(
    """
    SELECT link.version, {document} FROM application_contacts link JOIN contacts ON contacts.id = link.contact_id
    WHERE link.application_id = %(application_id)s AND link.contact_id = %(id)s
    """,
    document=LINKED,
)
FOUND = sql.SQL(
    """
    found AS (
        SELECT application_id, contact_id, version FROM application_contacts
        WHERE application_id = %(application_id)s AND contact_id = %(id)s FOR UPDATE
    )
    """
)
UPDATE_LINK = statement(
    """
    WITH {found}, link AS (
        UPDATE application_contacts SET
            role = CASE WHEN changes ? 'role' THEN changes ->> 'role' ELSE role END,
            version = application_contacts.version + (changes <> '{{}}')::int,
            updated_at = CASE WHEN changes <> '{{}}' THEN now() ELSE updated_at END
        FROM found, CAST(%(changes)s AS jsonb) AS changes
        WHERE (application_contacts.application_id, application_contacts.contact_id)
              = (found.application_id, found.contact_id)
          AND (%(versions)s::int[] IS NULL OR found.version = ANY(%(versions)s::int[]))
        RETURNING application_contacts.role, application_contacts.created_at, application_contacts.updated_at,
                  application_contacts.version
    )
    SELECT found.version, link.version, {document}
    FROM found JOIN contacts ON contacts.id = found.contact_id LEFT JOIN link ON true
    """,
    found=FOUND,
    document=sql.SQL("CASE WHEN link.version IS NOT NULL THEN {} END").format(LINKED),
)
UNLINK_CONTACT = statement(
    """
    WITH {found}, removed AS (
        DELETE FROM application_contacts USING found
        WHERE (application_contacts.application_id, application_contacts.contact_id)
              = (found.application_id, found.contact_id)
          AND (%(versions)s::int[] IS NULL OR found.version = ANY(%(versions)s::int[]))
        RETURNING application_contacts.contact_id
    )
    SELECT found.version, removed.contact_id IS NOT NULL FROM found LEFT JOIN removed ON true
    """,
    found=FOUND,
)
LIST_LINKS = statement(
    """
    SELECT {document}, link.created_at::text, contacts.id
    FROM application_contacts link JOIN contacts ON contacts.id = link.contact_id
    WHERE link.application_id = %(application_id)s
      AND (%(after_id)s::uuid IS NULL
           OR (link.created_at, link.contact_id) < (%(after_key)s::timestamptz, %(after_id)s::uuid))
    ORDER BY link.created_at DESC, link.contact_id DESC
    LIMIT %(limit)s
    """,
    document=LINKED,
)

HELD = (
    Holding(
        "application_contacts", shown=("application_id", "contact_id", "role", "created_at", "updated_at", "version")
    ),
    Holding(
        "contacts",
        shown=(
            "id",
            "company_id",
            "name",
            "title",
            "email",
            "phone",
            "url",
            "notes",
            "created_at",
            "updated_at",
            "version",
        ),
    ),
)
