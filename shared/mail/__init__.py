"""Mail: written down with the change it tells of, and sent afterwards.

    message = mail.Message("password_changed")
    await db.enter(caller).guarded_by(mail.guard(message, user_id=caller.user_id)).write(...)
    mail.soon()

A statement that decides itself whether there is something to tell posts the message itself:

    RESET = statement("... UPDATE ... RETURNING {posted}", posted=mail.posting("users.id"))
    await db.as_service().write(RESET, **message.params())
    mail.soon()

``docs/mail.md`` has the rest.
"""

from shared.mail.messages import LINKS, TEMPLATES, Message
from shared.mail.models import Delivery
from shared.mail.queries import HELD, posting
from shared.mail.service import deliver, guard, soon

__all__ = [
    "HELD",
    "LINKS",
    "TEMPLATES",
    "Delivery",
    "Message",
    "deliver",
    "guard",
    "posting",
    "soon",
]
