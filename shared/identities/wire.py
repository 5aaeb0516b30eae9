"""Asking a provider something: JSON over HTTP, with bounds on how long and how much it may answer."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

PATIENCE = 5.0
"""Seconds a provider has for one answer, from the first byte of ours to the last of its."""

MAX_ANSWER = 256 * 1024
"""Bytes of one answer. The largest there are, Microsoft's keys, have a tenth of it."""

ERROR = re.compile(r"[a-z_]{1,40}")


class Refused(Exception):
    """A provider does not vouch for anybody, or not in a way to believe. The message is for the audit log."""


class Unreachable(Exception):
    """A provider does not answer, or not as it should; later it may. The message is for the audit log."""


@asynccontextmanager
async def talk() -> AsyncIterator["httpx.AsyncClient"]:
    """A client for the requests of one sign-in. No redirect is followed, and no proxy or .netrc looked for."""
    import httpx  # not at start: only who comes back from a provider needs it

    async with httpx.AsyncClient(timeout=PATIENCE, follow_redirects=False, trust_env=False) as client:
        yield client


async def ask(
    client: "httpx.AsyncClient",
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Any:
    """The JSON at ``url``, or what it answers to a form.

    Raises:
        Refused: the provider says no.
        Unreachable: it says nothing that can be read, or nothing in time.
    """
    import httpx

    # Unpacked, a small answer could be a huge one.
    sent = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "jobtrail", **(headers or {})}
    received = bytearray()
    try:
        async with (
            asyncio.timeout(PATIENCE),
            client.stream("GET" if form is None else "POST", url, data=form, headers=sent) as response,
        ):
            async for chunk in response.aiter_raw():
                received += chunk
                if len(received) > MAX_ANSWER:
                    raise Unreachable("too long an answer")
    except (httpx.HTTPError, TimeoutError) as error:
        raise Unreachable(type(error).__name__) from None
    if response.status_code == 429 or response.status_code >= 500 or 300 <= response.status_code < 400:
        raise Unreachable(f"status {response.status_code}")
    try:
        answer = json.loads(received)
    except (ValueError, RecursionError):
        if response.status_code >= 400:
            raise Refused(f"status {response.status_code}") from None
        raise Unreachable("not JSON") from None
    said = answer.get("error") if isinstance(answer, dict) else None
    if said is not None or response.status_code >= 400:  # GitHub says with status 200 what was wrong
        is_known = isinstance(said, str) and ERROR.fullmatch(said)
        raise Refused(str(said) if is_known else f"status {response.status_code}")
    return answer
