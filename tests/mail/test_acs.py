"""Azure Communication Services, as its REST reference describes it: a loopback server that speaks the same format."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from uuid import UUID

import pytest

from shared.mail import Delivery, senders
from tests.mail.conftest import ADA, NOTICE, TOKEN, VERIFY, Azure, Row, Sql, due_now

Post = Callable[..., None]
Deliver = Callable[[], Delivery]
Outbox = Callable[[], list[Row]]


def refusal(status: int, code: str, **headers: str) -> tuple[int, dict[str, str], Any]:
    body = {"error": {"code": code, "message": f"It was refused, {ADA}: {TOKEN}."}}
    return status, {"x-ms-error-code": code, **headers}, body


def test_a_message_is_handed_over_as_the_service_wants_it(
    azure: Azure, post: Post, deliver: Deliver, outbox: Outbox
) -> None:
    post(VERIFY)
    assert deliver().sent == 1
    (asked,) = azure.sent
    (row,) = outbox()
    assert (asked.path, asked.query) == ("/emails:send", {"api-version": ["2023-03-31"]})
    assert asked.headers["authorization"] == "Bearer token-1"
    assert asked.headers["content-type"] == "application/json"
    assert UUID(asked.headers["operation-id"]) == UUID(asked.headers["repeatability-request-id"])
    first_sent = parsedate_to_datetime(asked.headers["repeatability-first-sent"])
    assert abs(datetime.now(UTC) - first_sent) < timedelta(minutes=1)
    assert asked.headers["repeatability-first-sent"].endswith(" GMT")
    content = asked.body.pop("content")
    assert asked.body == {
        "senderAddress": "no-reply@jobtrail.example",
        "recipients": {"to": [{"address": ADA}]},
        "headers": {"Message-ID": f"<{row['id']}@jobtrail.example>", "Auto-Submitted": "auto-generated"},
        "userEngagementTrackingDisabled": True,
    }
    assert set(content) == {"subject", "plainText", "html"}
    assert f"#token={TOKEN}" in content["plainText"]
    assert f"#token={TOKEN}" in content["html"]


# ---------------------------------------------------------------- the managed identity


def test_the_identity_is_asked_as_the_platform_wants_it_and_its_token_is_kept(
    azure: Azure, post: Post, deliver: Deliver
) -> None:
    post(NOTICE, NOTICE, NOTICE)
    assert deliver().sent == 3
    post(NOTICE)
    assert deliver().sent == 1
    (asked,) = azure.asked_for_tokens
    assert asked.headers["x-identity-header"] == "the platform's secret"
    assert asked.query == {"resource": ["https://communication.azure.com/"], "api-version": ["2019-08-01"]}


def test_a_user_assigned_identity_is_named(
    azure: Azure, post: Post, deliver: Deliver, configured: Callable[..., None]
) -> None:
    configured(AZURE_CLIENT_ID="0a1b")
    post(NOTICE)
    deliver()
    assert azure.asked_for_tokens[0].query["client_id"] == ["0a1b"]


def test_a_token_is_replaced_five_minutes_before_its_end(azure: Azure, post: Post, deliver: Deliver) -> None:
    azure.token_life = 290
    for _ in range(2):
        post(NOTICE)
        assert deliver().sent == 1
    assert [asked.headers["authorization"] for asked in azure.sent] == ["Bearer token-1", "Bearer token-2"]


def test_a_refused_token_is_replaced_once(azure: Azure, post: Post, deliver: Deliver) -> None:
    azure.answers = [refusal(401, "Denied")]
    post(NOTICE)
    assert deliver().sent == 1
    assert [asked.headers["authorization"] for asked in azure.sent] == ["Bearer token-1", "Bearer token-2"]


def test_a_second_refused_token_makes_the_message_wait(
    azure: Azure, post: Post, deliver: Deliver, outbox: Outbox
) -> None:
    azure.answers = [refusal(401, "Denied")] * 2
    post(NOTICE)
    assert deliver().postponed == 1
    assert len(azure.sent) == 2
    assert outbox()[0]["last_error"] == "acs 401 Denied"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((500, {}, {}), "identity 500"),
        ((400, {}, {"error": "invalid_request"}), "identity 400"),
        ((200, {}, {"expires_on": "never"}), "identity: not an answer to read"),
        ((200, {}, ["no", "object"]), "identity: not an answer to read"),
    ],
)
def test_without_a_token_messages_wait(
    azure: Azure, post: Post, deliver: Deliver, outbox: Outbox, answer: Any, error: str
) -> None:
    azure.tokens = [answer]
    post(NOTICE)
    assert deliver().postponed == 1
    assert (outbox()[0]["last_error"], azure.sent) == (error, [])


def test_where_there_is_no_identity_messages_wait(
    azure: Azure, post: Post, deliver: Deliver, outbox: Outbox, configured: Callable[..., None]
) -> None:
    configured(IDENTITY_ENDPOINT="")
    post(NOTICE)
    assert deliver().postponed == 1
    assert outbox()[0]["last_error"] == "this host has no managed identity"


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("code", ["InvalidRecipient", "BadRequest"])
def test_what_the_service_will_never_take_is_given_up(
    azure: Azure, post: Post, deliver: Deliver, outbox: Outbox, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    azure.answers = [refusal(400, code)]
    post(VERIFY)
    assert deliver().dead == 1
    assert outbox()[0]["last_error"] == f"acs 400 {code}"
    assert TOKEN not in caplog.text
    assert ADA not in caplog.text


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "InternalServerError"), (503, "Unavailable"), (403, "Forbidden"), (404, "DomainNotLinked")],
)
def test_what_is_not_the_messages_fault_makes_it_wait(
    azure: Azure, post: Post, deliver: Deliver, sql: Sql, status: int, code: str
) -> None:
    azure.answers = [refusal(status, code)]
    post(NOTICE)
    assert deliver().postponed == 1
    due_now(sql)
    assert deliver().sent == 1


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("1800", 1800),
        (format_datetime(datetime.now(UTC) + timedelta(minutes=30), usegmt=True), 1800),
        ("1", 60),
        ("999999", 6 * 3600),
        ("soon", 60),
    ],
)
def test_a_service_that_asks_for_a_pause_gets_it(
    azure: Azure, post: Post, deliver: Deliver, retry_after: str, seconds: int
) -> None:
    azure.answers = [refusal(429, "TooManyRequests", **{"Retry-After": retry_after})]
    post(NOTICE)
    delivery = deliver()
    assert delivery.postponed == 1
    assert delivery.retry_in is not None
    assert seconds - 60 < delivery.retry_in < seconds + 20


def test_attempts_that_belong_together_are_one_request_to_the_service_and_later_ones_another(
    azure: Azure, post: Post, deliver: Deliver, sql: Sql
) -> None:
    azure.answers = [refusal(500, "InternalServerError")] * 2
    post(NOTICE)
    deliver()
    due_now(sql)
    deliver()
    due_now(sql)
    sql.execute("UPDATE mail_outbox SET first_sent_at = first_sent_at - interval '5 minutes'")  # it forgets after five
    deliver()
    names = ("repeatability-request-id", "repeatability-first-sent", "operation-id")
    first, second, third = [tuple(asked.headers[name] for name in names) for asked in azure.sent]
    assert first == second
    assert first[0] != third[0]
    assert azure.sent[0].body == azure.sent[1].body, "or the service would refuse the second"


def test_a_service_that_is_silent_for_too_long_is_tried_again(
    azure: Azure, post: Post, deliver: Deliver, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(senders, "TIMEOUT", 0.05)
    answer = azure.answer

    def slowly(request: Any) -> Any:
        time.sleep(0.15)
        return answer(request)

    monkeypatch.setattr(azure, "answer", slowly)
    post(NOTICE)
    assert deliver().postponed == 1
    assert outbox()[0]["last_error"] == "acs ReadTimeout"


def test_a_service_that_is_not_there_is_tried_again(
    azure: Azure, post: Post, deliver: Deliver, outbox: Outbox, configured: Callable[..., None]
) -> None:
    configured(ACS_ENDPOINT="http://127.0.0.1:1")
    post(NOTICE)
    assert deliver().postponed == 1
    assert outbox()[0]["last_error"] == "acs ConnectError"
