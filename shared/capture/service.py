"""Making a draft of what a page on the web says of a posting."""

import asyncio
from http import HTTPStatus

from shared import VERSION, db, limits, settings
from shared.capture import fetching, postings, queries
from shared.capture.models import Capture, CaptureRequest
from shared.db import AnyCaller
from shared.documents import Document
from shared.errors import Problem

POLICY = "capture.user"


class AddressRefused(Problem):
    """Told alike of names that do not exist and of addresses that are private: nobody learns here what there is."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "address_refused"
    title = "Only public web addresses, on their usual ports, are fetched"


class FetchFailed(Problem):
    """Carries ``reason``: unreachable, timeout, status, redirects, not_a_page or too_large; nothing that was sent."""

    status = HTTPStatus.BAD_GATEWAY
    code = "fetch_failed"
    title = "The page could not be read; copy what it says by hand"


class NoJobPosting(Problem):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "no_job_posting"
    title = "The page does not describe a job in a way that programs can read"


class SeveralJobPostings(Problem):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "several_job_postings"
    title = "The page describes several jobs; give the address of one"


async def capture_application(caller: AnyCaller, request: CaptureRequest) -> Document[Capture]:
    """What the page says, as a draft. Nothing is kept.

    Raises:
        RateLimited: CAPTURE_LIMIT_USER.
        AddressRefused: it, or what it redirects to, is no public web address.
        FetchFailed: no page came of it.
        NoJobPosting, SeveralJobPostings: the page does not describe one job.
    """
    configured = settings.current()
    limit = configured.capture_limit_user
    await (
        db.enter(caller)
        .guarded_by(db.AS_SERVICE)
        .write(
            queries.HIT_OWN_LIMIT, key=limits.digest(POLICY, ""), policy=POLICY, cap=limit.hits, seconds=limit.seconds
        )
    )
    try:
        page = await fetching.fetch(
            request.url,
            user_agent=f"Jobtrail/{VERSION} (+{configured.app_url})",
            allow_private=configured.capture_allow_private,
        )
    except fetching.Refused:
        raise AddressRefused from None
    except fetching.Failed as failed:
        raise FetchFailed(reason=failed.reason) from None
    try:
        found = await asyncio.to_thread(postings.read, page, asked=request.url)  # megabytes, at worst, of anything
    except postings.NonePosted:
        raise NoJobPosting from None
    except postings.Several:
        raise SeveralJobPostings from None
    return Document(found.model_dump_json(exclude_none=True))
