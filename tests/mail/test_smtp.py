"""SMTP: whose fault a failure is, and that nothing secret goes where it should not."""

import ssl
from collections.abc import Callable
from typing import Any

import pytest

from shared.mail import Delivery, Message, senders
from tests.mail.conftest import ADA, NOTICE, VERIFY, Certificate, Row, Server

Post = Callable[..., None]
Deliver = Callable[[], Delivery]
Outbox = Callable[[], list[Row]]
NewServer = Callable[..., Server]


def test_a_message_goes_from_the_address_that_is_set(new_server: NewServer, post: Post, deliver: Deliver) -> None:
    server = new_server()
    post(NOTICE)
    deliver()
    assert server.envelopes == [("no-reply@jobtrail.example", [ADA])]
    assert server.taken[0]["From"] == "Jobtrail <no-reply@jobtrail.example>"


@pytest.mark.parametrize("answer", ["550 5.1.1 No such user here", "552 5.2.2 Mailbox full", "553 not allowed"])
def test_a_recipient_refused_for_good_is_given_up(
    new_server: NewServer, post: Post, deliver: Deliver, outbox: Outbox, answer: str
) -> None:
    new_server(refused={ADA: answer})
    post(NOTICE)
    assert deliver().dead == 1
    assert outbox()[0]["last_error"] == f"smtp {answer[:3]}"


def test_a_recipient_refused_for_now_is_tried_again(
    new_server: NewServer, post: Post, deliver: Deliver, outbox: Outbox
) -> None:
    new_server(refused={ADA: "450 4.2.1 Try later"})
    post(NOTICE)
    assert deliver().postponed == 1
    assert outbox()[0]["last_error"] == "smtp 450"


def test_a_message_refused_for_good_is_given_up(new_server: NewServer, post: Post, deliver: Deliver) -> None:
    new_server(answers=["554 5.7.1 Looks like spam"])
    post(NOTICE)
    assert deliver().dead == 1


def test_a_server_that_hangs_up_in_the_middle_is_tried_again(
    new_server: NewServer, post: Post, deliver: Deliver
) -> None:
    new_server(hangs_up=True)
    post(NOTICE)
    assert deliver().postponed == 1


def test_a_server_that_is_rude_when_it_is_left_has_taken_the_message(
    new_server: NewServer, post: Post, deliver: Deliver
) -> None:
    server = new_server(goodbye="421 4.3.2 Closing down")
    post(NOTICE)
    assert deliver().sent == 1
    assert len(server.taken) == 1


def test_a_server_that_is_not_there_is_tried_again(
    new_server: NewServer, post: Post, deliver: Deliver, configured: Callable[..., None], outbox: Outbox
) -> None:
    new_server()
    configured(SMTP_URL="smtp://127.0.0.1:1?starttls=no")
    post(NOTICE)
    assert deliver().postponed == 1
    assert outbox()[0]["last_error"] == "smtp ConnectionRefusedError"


def test_a_server_that_is_silent_for_too_long_is_tried_again(
    new_server: NewServer, post: Post, deliver: Deliver, monkeypatch: pytest.MonkeyPatch, outbox: Outbox
) -> None:
    monkeypatch.setattr(senders, "TIMEOUT", 0.05)
    new_server(pause=0.2)
    post(NOTICE)
    assert deliver().postponed == 1
    assert outbox()[0]["last_error"] in ("smtp TimeoutError", "smtp SMTPServerDisconnected")


# ---------------------------------------------------------------- TLS and passwords


def test_mail_and_password_go_encrypted_to_a_server_that_proves_its_name(
    new_server: NewServer, certificate: Certificate, configured: Callable[..., None], post: Post, deliver: Deliver
) -> None:
    server = new_server(tls=certificate.context)
    configured(
        SMTP_URL=f"smtp://jobtrail%40example.com:p%40ss%2Fword@127.0.0.1:{server.port}",
        SSL_CERT_FILE=str(certificate.file),
    )
    post(VERIFY)
    assert deliver().sent == 1
    assert server.logins == [("jobtrail@example.com", "p@ss/word")]
    assert server.was_encrypted == [True]


def test_a_server_that_cannot_prove_its_name_gets_nothing(
    new_server: NewServer,
    certificate: Certificate,
    configured: Callable[..., None],
    post: Post,
    deliver: Deliver,
    outbox: Outbox,
) -> None:
    server = new_server(tls=certificate.context)
    configured(SMTP_URL=f"smtp://jobtrail:p%40ss%2Fword@127.0.0.1:{server.port}")
    post(VERIFY)
    assert deliver().postponed == 1
    assert outbox()[0]["last_error"] == "smtp SSLCertVerificationError"
    assert (server.logins, server.taken) == ([], [])


def test_a_server_without_tls_gets_nothing_unless_that_is_set(
    new_server: NewServer, configured: Callable[..., None], post: Post, deliver: Deliver, outbox: Outbox
) -> None:
    server = new_server()
    configured(SMTP_URL=f"smtp://jobtrail:p%40ss%2Fword@127.0.0.1:{server.port}")
    post(VERIFY)
    assert deliver().postponed == 1
    assert outbox()[0]["last_error"] == "smtp SMTPNotSupportedError"
    assert (server.logins, server.taken) == ([], [])


def test_a_wrong_password_is_ours_to_mend_and_the_message_waits(
    new_server: NewServer,
    certificate: Certificate,
    configured: Callable[..., None],
    post: Post,
    deliver: Deliver,
    outbox: Outbox,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = new_server(tls=certificate.context)
    configured(SMTP_URL=f"smtp://jobtrail:hunter2@127.0.0.1:{server.port}", SSL_CERT_FILE=str(certificate.file))
    post(VERIFY)
    assert deliver().postponed == 1
    assert outbox()[0]["last_error"] == "smtp 535"
    assert "hunter2" not in caplog.text


def test_an_address_that_the_server_cannot_write_is_given_up(
    new_server: NewServer, post: Post, deliver: Deliver, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiosmtpd.smtp import SMTP

    async def ehlo(self: Any, hostname: str) -> None:  # of a server from before RFC 6531
        self._set_rset_state()
        self.session.host_name = hostname
        await self.push("250 mail.example.com")

    monkeypatch.setattr(SMTP, "smtp_EHLO", ehlo)
    server = new_server()
    post(Message("password_changed", "ädä@example.com"))
    assert deliver().dead == 1
    assert server.taken == []
    assert "address like this" in outbox()[0]["last_error"]


def test_an_address_in_any_script_arrives_where_the_server_can(
    new_server: NewServer, post: Post, deliver: Deliver
) -> None:
    server = new_server()
    post(Message("password_changed", "ädä@bücher.example"))
    assert deliver().sent == 1
    assert server.envelopes[0][1] == ["ädä@bücher.example"]


def test_tls_from_the_first_byte_where_the_address_says_smtps(
    certificate: Certificate, new_server: NewServer, configured: Callable[..., None], post: Post, deliver: Deliver
) -> None:
    from aiosmtpd.controller import Controller

    server = new_server()
    implicit = Controller(Server(), hostname="127.0.0.1", port=Server().port, ssl_context=certificate.context)
    # Its handler takes the messages; TLS ends below it, where it cannot see it.
    implicit.handler = taking = Server()
    with pytest.MonkeyPatch.context() as patch:
        # The controller's own test connection verifies nothing, as Python's default is not for a made-up authority.
        patch.setattr(ssl, "create_default_context", ssl._create_unverified_context)
        implicit.start()
    try:
        configured(SMTP_URL=f"smtps://127.0.0.1:{implicit.port}", SSL_CERT_FILE=str(certificate.file))
        post(NOTICE)
        assert deliver().sent == 1
        assert len(taking.taken) == 1
        assert server.taken == []
    finally:
        implicit.stop()
