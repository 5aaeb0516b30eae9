"""Recovery's SQL: calls of the functions that spend a token and make its whole change, in one statement."""

from shared.db import statement
from shared.holdings import Holding

VERIFY_EMAIL = statement("SELECT outcome FROM verify_email(%(token_digest)s) AS outcome")

# Asked as the caller, who sees nobody else.
GET_UNVERIFIED_EMAIL = statement("SELECT email FROM users WHERE NOT email_verified")

REQUEST_VERIFICATION = statement(
    "SELECT request_verification(%(user_id)s, %(email)s, %(token_digest)s, %(mail_sealed)s)"
)

REQUEST_PASSWORD_RESET = statement(
    "SELECT request_password_reset(%(email)s, %(account)s, %(token_digest)s, %(mail_sealed)s)"
)

FIND_OWNER_OF_TOKEN = statement(
    """
    SELECT id AS user_id, email, first_name, last_name, company, password_hash
    FROM find_password_reset(%(token_digest)s)
    """
)

RESET_PASSWORD = statement("SELECT reset_password(%(token_digest)s, %(new_hash)s)")

FIND_OWNER = statement(
    """
    SELECT id AS user_id, email, first_name, last_name, company, password_hash
    FROM users WHERE id = %(user_id)s
    """
)

CHANGE_PASSWORD = statement("SELECT change_password(%(user_id)s, %(verified_hash)s, %(new_hash)s, %(attempt)s)")

REFUSE_PASSWORD_CHANGE = statement("SELECT audit('password_change_refused', %(user_id)s, '{}', false)")

REQUEST_EMAIL_CHANGE = statement(
    "SELECT request_email_change(%(user_id)s, %(email)s, %(token_digest)s, %(mail_sealed)s)"
)

HELD = (Holding("one_time_tokens", why_not="digests of links that were sent in the last hour"),)
