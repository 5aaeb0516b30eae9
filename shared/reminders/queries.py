"""The SQL of reminders, which is in the database: ``send_reminders()``."""

from shared.db import statement
from shared.holdings import Holding

SEND_REMINDERS = statement("SELECT reminded, next_at FROM send_reminders(%(most)s)")

HELD = (Holding("reminders_sent", why_not="which reminders were sent; that mail was sent is in mail_outbox"),)
