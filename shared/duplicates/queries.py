"""The SQL of duplicates."""

from typing import LiteralString

from psycopg import sql

from shared.db import statement
from shared.documents import columns
from shared.duplicates.models import PossibleDuplicate

LIKE_ONE: LiteralString = """
    SELECT id, CASE WHEN by_url THEN 'url' ELSE 'company_and_position' END AS matched, '' AS shared_key
    FROM (
        SELECT id, true AS by_url FROM applications
        WHERE url_key = md5(canonical_url(%(url)s))::uuid
        UNION ALL
        SELECT id, false FROM applications
        WHERE company_id = (SELECT companies.id FROM companies WHERE canonical_name = canonical_company(%(company)s))
          AND position_key = canonical_position(%(position)s)
          AND (url_key = md5(canonical_url(%(url)s))::uuid) IS NOT TRUE
    ) AS found
"""
TWICE: LiteralString = """
    SELECT id, 'url' AS matched, url_key::text AS shared_key
    FROM (SELECT id, url_key, count(*) OVER (PARTITION BY url_key) AS n FROM applications WHERE url_key IS NOT NULL)
         AS by_url
    WHERE n > 1
    UNION ALL
    SELECT id, 'company_and_position', company_id || ' ' || position_key
    FROM (SELECT id, company_id, position_key, count(*) OVER (PARTITION BY company_id, position_key) AS n
          FROM applications WHERE company_id IS NOT NULL) AS by_position
    WHERE n > 1
"""


def _list(alike: LiteralString) -> bytes:
    # In the order of the groups, which is that of their earliest members: a group is not torn apart.
    return statement(
        """
        SELECT {document}, key, id
        FROM (
            SELECT id, matched, place, place || ' ' || matched AS key
            FROM (SELECT id, matched, first_value(id) OVER (PARTITION BY matched, shared_key ORDER BY id) AS place
                  FROM ({alike}) AS alike) AS grouped
        ) AS member JOIN applications USING (id)
        WHERE %(after_id)s::uuid IS NULL OR (key, id) > (%(after_key)s::text, %(after_id)s::uuid)
        ORDER BY key, id
        LIMIT %(limit)s
        """,
        document=columns(
            PossibleDuplicate,
            "applications",
            application_id="applications.id",
            matched="member.matched",
            days_ago="day_of(now(), applications.user_id) - applications.applied_on",
            group="member.place",
        ),
        alike=sql.SQL(alike),
    )


LIST_LIKE_ONE = _list(LIKE_ONE)
LIST_TWICE = _list(TWICE)
MERGE_APPLICATIONS = statement(
    "SELECT merge_applications(%(application_id)s, %(merge_versions)s::int[], %(duplicate_id)s)"
)
