"""Posting messages, and delivering them: at least once, by however many processes."""

import asyncio
import logging
import math
import random
from uuid import UUID

from shared import db, settings
from shared.db import Guard
from shared.mail import messages, queries, senders
from shared.mail.messages import Message
from shared.mail.models import Delivery, Letter, Outcome
from shared.mail.senders import Postponed, Send, Undeliverable
from shared.security.sealing import SealBroken

BATCH = 8
"""Messages leased, and sent, at once: as many connections as a mail server takes from one client without a frown."""

LEASE = 300.0
"""Seconds a batch is this process's own: longer than its slowest message takes. A process that dies in between has it
sent again afterwards, by another: at least once, never not at all."""

MAX_ATTEMPTS = 8
FIRST_DELAY, FACTOR, LAST_DELAY = 60.0, 3.0, 6 * 3600.0
"""Seconds until the second attempt, how much longer each wait is, and how long at most: eight in half a day."""

BUDGET = 120.0
"""Seconds in which one run begins batches; the host stops a function after five minutes."""

HEAD_START = 0.05
"""Seconds that the response has before the delivery begins, which would compete with it."""

PATIENCE = 600.0
RETRIES = 3
"""What ``soon()`` tries again itself: messages due again within so many seconds, so many times."""

logger = logging.getLogger(__name__)


def guard(*posted: Message, user_id: UUID | None) -> Guard:
    """Post messages in the round trip, and the transaction, of the statement that comes after.

    For what is told whatever that statement finds. Where it decides whether there is anything to tell, put
    ``posting()`` into the statement itself.
    """
    return Guard(
        queries.POST,
        {
            "mail_user": user_id,
            "mail_recipients": [message.recipient for message in posted],
            "mail_templates": [message.template for message in posted],
            "mail_sealed": [message.sealed() for message in posted],
        },
    )


async def deliver(*, budget: float = BUDGET) -> Delivery:
    """Send what is due. Any number of processes may do so at once: no message is leased to two of them."""
    began = asyncio.get_running_loop().time()
    outcomes: list[Outcome] = []
    async with senders.sender() as send:
        while asyncio.get_running_loop().time() - began < budget:
            letters = await db.as_service().write(queries.LEASE, row=Letter, batch=BATCH, lease=LEASE)
            tried = await asyncio.gather(*(_deliver(send, letter) for letter in letters), return_exceptions=True)
            for outcome in tried:  # all have ended: one that failed has not left the others without a sender
                if isinstance(outcome, BaseException):
                    raise outcome
                outcomes.append(outcome)
            if len(letters) < BATCH:
                break
    delays = [outcome.delay for outcome in outcomes if outcome.state == "queued"]
    states = [outcome.state for outcome in outcomes]
    delivery = Delivery(states.count("sent"), len(delays), states.count("dead"), min(delays, default=None))
    if outcomes:
        logger.info("mail: %d sent, %d postponed, %d given up", delivery.sent, delivery.postponed, delivery.dead)
    return delivery


_soon: asyncio.Task[None] | None = None
_asked = asyncio.Event()


def soon() -> None:
    """Deliver what is due as soon as the response is out, without waiting for it: call it when something was posted.

    Call it too when nothing was posted because there is no such account, or the difference could be timed. It never
    raises; what it cannot do is left to the timer.
    """
    global _soon, _asked
    if not settings.current().mail_at_once:
        return
    loop = asyncio.get_running_loop()
    if _soon is not None and not _soon.done() and _soon.get_loop() is loop:
        _asked.set()
        return
    _asked = asyncio.Event()
    _soon = loop.create_task(_deliver_soon(_asked), name="mail.soon")
    _soon.add_done_callback(_log_failure)


async def _deliver_soon(asked: asyncio.Event) -> None:
    """Deliver until nothing is due that anybody asked for, and what is due again within moments besides."""
    clock = asyncio.get_running_loop().time
    retry_at: float | None = None
    retries = RETRIES
    while True:
        await asyncio.sleep(HEAD_START)
        asked.clear()
        delivery = await deliver()
        if retries and delivery.retry_in is not None and delivery.retry_in <= PATIENCE:
            retries -= 1
            retry_at = min(retry_at or math.inf, clock() + delivery.retry_in)
        if asked.is_set():  # something may have been posted since the last look
            continue
        if retry_at is None:
            return
        try:
            async with asyncio.timeout_at(retry_at):
                await asked.wait()
        except TimeoutError:
            retry_at = None


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (failure := task.exception()) is not None:
        logger.warning(
            "mail was not delivered at once; the timer goes on: %s", type(failure).__name__, exc_info=failure
        )


async def _deliver(send: Send, letter: Letter) -> Outcome:
    outcome = await _attempt(send, letter)
    await db.as_service().write(
        queries.RECORD,
        id=letter.id,
        attempt=letter.attempt,
        state=outcome.state,
        error=outcome.error,
        delay=outcome.delay,
    )
    if outcome.error:
        level = logging.ERROR if outcome.state == "dead" else logging.WARNING
        logger.log(level, "mail %s (%s) is %s: %s", letter.id, letter.template, outcome.state, outcome.error)
    return outcome


async def _attempt(send: Send, letter: Letter) -> Outcome:
    if letter.attempt > MAX_ATTEMPTS:  # each of them ended without a word: whatever it is, it ends whoever tries
        return Outcome("dead", "too many attempts")
    try:
        message = messages.render(letter)
        if letter.age >= messages.TEMPLATES[letter.template].life:
            return Outcome("dead", "expired")
        await send(message)
    except LookupError:
        return _later(letter, "unknown template")  # it may be a newer instance's, which will send it
    except SealBroken:
        return Outcome("dead", "the seal does not open")
    except (ValueError, TypeError):
        return Outcome("dead", "facts that are none")
    except Undeliverable as refused:
        return Outcome("dead", str(refused))
    except Postponed as failed:
        return _later(letter, str(failed), at_least=failed.retry_after or 0)
    return Outcome("sent")


def _later(letter: Letter, reason: str, *, at_least: float = 0) -> Outcome:
    if letter.attempt >= MAX_ATTEMPTS:
        return Outcome("dead", reason)
    delay = max(FIRST_DELAY * FACTOR ** (letter.attempt - 1) * random.uniform(1, 1.25), at_least)
    return Outcome("queued", reason, min(delay, LAST_DELAY))
