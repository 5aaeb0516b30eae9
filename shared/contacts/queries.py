"""The SQL of contacts."""

from shared.holdings import Holding

HELD = (
    Holding("application_contacts", shown=("application_id", "contact_id", "role", "created_at")),
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
