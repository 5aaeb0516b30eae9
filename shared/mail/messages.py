"""The messages: what each says, made by whoever has something to tell, and put into words when it is sent.

A message is one row of TEMPLATES and its facts. The facts are checked when it is made, so that a fault shows where it
was made, and not hours later in a timer; and sealed, since the database keeps them until the message is sent.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from string import Formatter
from typing import Any, cast

from shared import settings
from shared.mail.models import Fact, Letter, Link, Rendered, Template

PURPOSE = "mail"
LONGEST_VALUE = 120
"""Characters of a fact, or of a line of one, that are shown: a device may call itself anything."""

MOST_LINES = 11
"""Lines of a fact that is a list: ten, and one that says how many more there are."""

ADDRESS = re.compile(r"[^\s\x00-\x1f\x7f<>@]+@[^\s\x00-\x1f\x7f<>@,;:]+")
"""One address, and nothing that could be read as another one or as a header."""

HOUR = timedelta(hours=1)

# The front end's pages that mail leads to. A token travels in the fragment, which reaches no server's log and no
# Referer; the page posts it when somebody presses its button, because mail scanners open links.
VERIFY_EMAIL = Link("/verify-email", "Confirm this address")
CONFIRM_EMAIL = Link("/confirm-email", "Use this address")
RESET_PASSWORD = Link("/reset-password", "Choose a new password")
FORGOT_PASSWORD = Link("/forgot-password", "Reset the password")
SIGN_IN = Link("/sign-in", "Sign in")
SECURITY = Link("/security", "Look at the account's security")
REGISTER = Link("/register", "Make an account")

LINKS = (VERIFY_EMAIL, CONFIRM_EMAIL, RESET_PASSWORD, FORGOT_PASSWORD, SIGN_IN, SECURITY, REGISTER)

_NOT_YOU = "If this was you, there is nothing to do. If not, reset your password at once: that ends every session."

# Nobody is greeted by name: a name is whatever somebody typed who registered with an address, theirs or not.
TEMPLATES: Mapping[str, Template] = {
    "verify_email": Template(
        "Confirm your e-mail address",
        (
            "Welcome to Jobtrail. Please confirm that this address is yours.",
            "The link is good for 60 minutes, and once. If you did not sign up, leave it alone: nothing will happen.",
        ),
        VERIFY_EMAIL,
        has_token=True,
        life=HOUR,
    ),
    "reset_password": Template(
        "Reset your password",
        (
            "Somebody, hopefully you, asked to reset the password of your Jobtrail account.",
            (
                "The link is good for 60 minutes, and once. A new password signs you out everywhere. "
                "If you did not ask, leave the link alone: your password stays as it is."
            ),
        ),
        RESET_PASSWORD,
        has_token=True,
        life=HOUR,
    ),
    "no_account": Template(
        "There is no account with this address",
        (
            (
                "Somebody, hopefully you, asked to reset the password of a Jobtrail account with this address. "
                "There is none; perhaps you signed up with another address."
            ),
            "If it was not you, there is nothing to do.",
        ),
        REGISTER,
        life=HOUR,
    ),
    "account_exists": Template(
        "You already have an account",
        (
            (
                "Somebody, hopefully you, tried to sign up for Jobtrail with this address. There is an account with it "
                "already, so nothing was changed: just sign in, or reset the password if you do not remember it."
            ),
            "If it was not you, there is nothing to do.",
        ),
        SIGN_IN,
    ),
    "confirm_new_email": Template(
        "Confirm your new e-mail address",
        (
            "You asked to use this address for your Jobtrail account. It takes effect when you confirm it.",
            "The link is good for 60 minutes, and once. If you did not ask, leave it alone and nothing will happen.",
        ),
        CONFIRM_EMAIL,
        has_token=True,
        life=HOUR,
    ),
    "email_change_requested": Template(
        "A new e-mail address was asked for",
        (
            (
                "Somebody who is signed in to your Jobtrail account asked to change its e-mail address. "
                "The new address must be confirmed first; until then this one stays."
            ),
            _NOT_YOU,
        ),
        FORGOT_PASSWORD,
    ),
    "email_changed": Template(
        "Your e-mail address was changed",
        (
            "Your Jobtrail account has another e-mail address now, and mail to this one ends here.",
            "If it was not you, tell the people who run this Jobtrail at once: whoever it was can reset the password.",
        ),
    ),
    "password_changed": Template(
        "Your password was changed",
        ("The password of your Jobtrail account was changed, and every other session has ended.", _NOT_YOU),
        FORGOT_PASSWORD,
    ),
    "new_sign_in": Template(
        "A sign-in from a new device",
        ("Your Jobtrail account was signed in to on {when}, from {ip}, with “{device}”.", _NOT_YOU),
        FORGOT_PASSWORD,
    ),
    "session_ended_by_reuse": Template(
        "A session was ended for your safety",
        (
            (
                "A sign-in token of your Jobtrail account was used twice, which happens when somebody has a copy. "
                "The session has ended, for you and for them; on that device you have to sign in again."
            ),
            "If it happens again, reset your password: that ends every session.",
        ),
        SECURITY,
    ),
    "second_factor_failed": Template(
        "Somebody got past the first step of signing in",
        (
            (
                "Somebody got past the first step of signing in to your Jobtrail account, which takes the password or "
                "another account that is linked, and failed at the second one five times. They are not in."
            ),
            "If this was not you, choose another password at once: it is known.",
        ),
        FORGOT_PASSWORD,
    ),
    "second_factor_enabled": Template(
        "Two-step sign-in is on",
        (
            (
                "Signing in to your Jobtrail account now also takes a code from your authenticator app. "
                "Sessions without it have ended. Keep the recovery codes where you will find them without your phone."
            ),
            _NOT_YOU,
        ),
        FORGOT_PASSWORD,
    ),
    "second_factor_disabled": Template(
        "Two-step sign-in is off",
        ("Signing in to your Jobtrail account no longer takes a code from an authenticator app.", _NOT_YOU),
        FORGOT_PASSWORD,
    ),
    "recovery_codes_replaced": Template(
        "You have new recovery codes",
        ("Your Jobtrail account has a new set of recovery codes. The earlier ones no longer work.", _NOT_YOU),
        FORGOT_PASSWORD,
    ),
    "recovery_code_used": Template(
        "A recovery code was used",
        (
            "Your Jobtrail account was signed in to with a recovery code, which is spent now. Codes left: {left}.",
            _NOT_YOU,
        ),
        SECURITY,
    ),
    "passkey_added": Template(
        "A passkey was added",
        ("Your Jobtrail account can now be signed in to with the passkey “{name}”.", _NOT_YOU),
        SECURITY,
    ),
    "passkey_removed": Template(
        "A passkey was removed",
        ("The passkey “{name}” no longer signs in to your Jobtrail account.", _NOT_YOU),
        SECURITY,
    ),
    "passkey_cloned": Template(
        "A passkey was used that may be a copy",
        (
            (
                "The passkey “{name}” was presented with a count that was used before, which happens when somebody has "
                "a copy of it. It no longer signs in to your Jobtrail account: remove it, and add a new one."
            ),
            "If you did not use it just now, look at the account's sessions, and end those you do not know.",
        ),
        SECURITY,
    ),
    "identity_linked": Template(
        "A way to sign in was added",
        ("Your Jobtrail account can now be signed in to with {provider}.", _NOT_YOU),
        SECURITY,
    ),
    "identity_unlinked": Template(
        "A way to sign in was removed",
        ("{provider} no longer signs in to your Jobtrail account.", _NOT_YOU),
        SECURITY,
    ),
    "token_created": Template(
        "An access token was made",
        (
            "The personal access token “{name}” was made for your Jobtrail account. Whoever has it may: {scopes}.",
            "If this was not you, delete the token, and reset your password.",
        ),
        SECURITY,
    ),
    "account_disabled": Template(
        "Your account was disabled",
        (
            "An administrator has disabled your Jobtrail account, and every session has ended. Nothing was deleted.",
            "If you think this is a mistake, tell the people who run this Jobtrail.",
        ),
    ),
    "account_deletion_requested": Template(
        "Your account is going to be deleted",
        (
            "You asked to delete your Jobtrail account. It goes on {due}, with everything in it, for good.",
            "Until then you can change your mind: sign in, and take the deletion back.",
        ),
        SIGN_IN,
    ),
    "account_deletion_cancelled": Template(
        "Your account stays",
        ("The deletion of your Jobtrail account was taken back. Everything is as it was.", _NOT_YOU),
        FORGOT_PASSWORD,
    ),
    "reminders": Template(
        "What is due",
        (
            "This is due, or about to be:",
            "You can turn these reminders off in your profile.",
        ),
        SIGN_IN,
        lines="things",
        life=12 * HOUR,
    ),
    "account_deleted": Template(
        "Your account was deleted",
        ("Your Jobtrail account and everything in it are gone. Thank you for having been with us, and good luck.",),
    ),
}

FACTS: Mapping[str, type] = {
    "token": str,
    "device": str,
    "due": datetime,
    "ip": str,
    "left": int,
    "name": str,
    "provider": str,
    "scopes": str,
    "things": list,
    "when": datetime,
}
"""What the facts are. A moment carries its time zone, and is shown in UTC."""


def needs(template: Template) -> frozenset[str]:
    """The names of the facts a template needs."""
    named = {name for text in template.paragraphs for _, name, _, _ in Formatter().parse(text) if name}
    return frozenset(
        named | ({"token"} if template.has_token else set()) | ({template.lines} if template.lines else set())
    )


@dataclass(frozen=True, slots=True)
class Message:
    """Something to tell somebody.

    ``later`` names the facts that only the posting statement will know, and gives ``post_mail`` in clear: never a
    token. Without a ``recipient`` the message goes to the account's own address; one with a token must name it,
    because its seal opens for that address only.

    Raises:
        ValueError, TypeError: there is no such template, or these are not its facts, or the address is none.
    """

    template: str
    recipient: str | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict, repr=False)
    later: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.template not in TEMPLATES:
            raise ValueError(f"there is no message {self.template!r}")
        template = TEMPLATES[self.template]
        given = [*self.facts, *self.later]
        if sorted(given) != sorted(needs(template)):
            raise ValueError(f"{self.template} needs {sorted(needs(template))}, not {sorted(given)}")
        for name, value in self.facts.items():
            _check(name, value)
        if template.has_token and (self.recipient is None or "token" in self.later):
            raise ValueError(f"{self.template} holds a token: its recipient and its token must be given")
        if self.recipient is not None and not ADDRESS.fullmatch(self.recipient):
            raise ValueError("the recipient is not an address")

    def params(self, name: str = "mail") -> dict[str, Any]:
        """Parameters for a statement in which ``mail.posting(..., name=name)`` stands."""
        return {
            f"{name}_recipient": self.recipient,
            f"{name}_template": self.template,
            f"{name}_sealed": self.sealed(),
        }

    def sealed(self) -> bytes:
        """The facts, as the outbox keeps them: sealed, or nothing at all where nothing is to be kept."""
        if not self.facts:
            return b""
        from shared.security import sealing  # brings cryptography, which most requests can do without

        facts = {
            name: value.isoformat() if isinstance(value, datetime) else value for name, value in self.facts.items()
        }
        return sealing.seal(PURPOSE, json.dumps(facts).encode(), bound_to=_owner(self.template, self.recipient))


def render(letter: Letter) -> Rendered:
    """Put a leased message into words.

    Raises:
        LookupError: there is no such template here; a newer version of the app may have it.
        SealBroken: the facts do not open: they were altered, or their key is gone.
        ValueError, TypeError: they are not the facts of this template.
    """
    import html  # only mail needs it

    from shared.security import sealing

    template = TEMPLATES[letter.template]
    kept = dict(letter.facts)
    if letter.sealed:
        bound_to = _owner(letter.template, letter.recipient)
        kept |= json.loads(sealing.open_sealed(PURPOSE, letter.sealed, bound_to=bound_to))
    facts = _read(kept, needs(template))
    shown = {name: _shown(value) for name, value in facts.items() if name != template.lines}
    paragraphs = [paragraph.format_map(shown) for paragraph in template.paragraphs]
    in_html = [f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs]
    if template.link:
        url = settings.current().app_url + template.link.path
        if template.has_token:
            url += f"#token={facts['token']}"
        label = template.link.label
        paragraphs.insert(1, f"{label}:\n{url}")
        in_html.insert(1, BUTTON.format(url=html.escape(url), label=html.escape(label)))
    if template.lines:
        lines = [_shown(line) for line in cast("list[str]", facts[template.lines])]
        paragraphs[1:1] = lines
        in_html[1:1] = [f"<p>{html.escape(line)}</p>" for line in lines]
    return Rendered(
        id=letter.id,
        recipient=letter.recipient,
        subject=template.subject,
        text="\n\n".join(("Hello,", *paragraphs, "Jobtrail")) + "\n",
        html=PAGE.format(subject=html.escape(template.subject), body="\n".join(in_html)),
        first_sent_at=letter.first_sent_at,
    )


# Mail programs read no style sheet and load no image; the address stands in full for those who trust no button.
PAGE = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{subject}</title></head>
<body style="margin:0;padding:24px;background:#f4f5f7;color:#1c2330;font:16px/1.5 system-ui,sans-serif">
<div style="max-width:520px;margin:0 auto;padding:24px 32px;background:#fff;border-radius:8px">
<p style="margin:0;font-weight:600;color:#2456c5">Jobtrail</p>
<h1 style="margin:8px 0 16px;font-size:22px;line-height:1.3">{subject}</h1>
<p>Hello,</p>
{body}
</div>
</body>
</html>
"""
BUTTON = """\
<p style="margin:24px 0"><a href="{url}" style="display:inline-block;padding:10px 20px;background:#2456c5;color:#fff;\
border-radius:6px;text-decoration:none">{label}</a></p>
<p style="font-size:13px;color:#5b6575;overflow-wrap:anywhere">Or open this address: <a href="{url}">{url}</a></p>"""


def _owner(template: str, recipient: str | None) -> str:
    """What the seal is bound to: a token's message cannot be redirected by whoever can write into the table."""
    return f"{template} {recipient}" if TEMPLATES[template].has_token else template


def _check(name: str, value: object) -> None:
    kind = FACTS[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{name} must be {kind.__name__}, not {type(value).__name__}")
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError(f"{name} must say its time zone")
    if isinstance(value, list) and not (0 < len(value) <= MOST_LINES and all(isinstance(line, str) for line in value)):
        raise ValueError(f"{name} must be 1 to {MOST_LINES} texts")
    if name == "token" and not re.fullmatch(r"[A-Za-z0-9_.~-]+", str(value)):
        raise ValueError("a token must be of characters that stand for themselves in a URL")


def _read(kept: Mapping[str, Any], needed: Iterable[str]) -> dict[str, Fact]:
    facts: dict[str, Fact] = {}
    for name in needed:
        value: Any = kept.get(name)
        if FACTS[name] is datetime:
            value = datetime.fromisoformat(str(value))
        _check(name, value)
        facts[name] = value
    return facts


def _shown(value: Fact) -> str:
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        return f"{moment.day} {MONTHS[moment.month - 1]} {moment:%Y at %H:%M} UTC"
    text = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


# strftime's names of months follow the process's locale; this text is English.
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
