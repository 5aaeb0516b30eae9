"""Fetching what strangers name: from where it is had, how much, how long, and that nothing inside can be reached."""

import asyncio
import gzip
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.capture import fetching
from shared.capture.fetching import Failed, Page, Refused
from tests.capture import site as sites
from tests.capture.site import HOST, Site, answer, redirect, says

OK = sites.page(sites.POSTING)
AGENT = "Jobtrail/test (+https://app.example.com)"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.stop()


@pytest.fixture(scope="module")
def secure() -> Iterator[Site]:
    site = Site(encrypted=True)
    yield site
    site.stop()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What names resolve to, one list after another, and the last for ever; gives the names that were asked."""

    def say(*answers: list[str]) -> list[str]:
        asked: list[str] = []

        async def resolve(host: str, port: int) -> list[str]:
            asked.append(host)
            return answers[min(len(asked), len(answers)) - 1]

        monkeypatch.setattr(fetching, "resolve", resolve)
        return asked

    return say


@pytest.fixture(autouse=True)
def trust(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "trust", sites.client_context)


def fetch(url: str, *, private: bool = True) -> Page:
    return asyncio.run(fetching.fetch(url, user_agent=AGENT, allow_private=private))


def reason(url: str) -> str:
    with pytest.raises(Failed) as failed:
        fetch(url)
    return failed.value.reason


# ---------------------------------------------------------------- whom we ask


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.1", "0.0.0.0", "0.1.2.3", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "169.254.169.254", "168.63.129.16", "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.88.99.1", "192.0.2.1",
        "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::ffff:8.8.8.8", "::ffff:127.0.0.1", "::8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808",
        "64:ff9b:1::1", "2002:7f00:1::", "2002:808:808::1", "2001:0:7f00:1::", "2001:db8::1", "3fff::1", "fe80::1",
        "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "100::1", "5f00::1", "localhost", "",
    ],
)  # fmt: skip
def test_what_is_not_everybodys_is_not_public(address: str) -> None:
    assert not fetching.is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450::1"])
def test_what_is_everybodys_is_public(address: str) -> None:
    assert fetching.is_public(address)


@given(st.ip_addresses())
def test_public_is_never_more_than_what_python_takes_for_global(ip: Any) -> None:
    if fetching.is_public(str(ip)):
        assert ip.is_global
        assert not ip.is_multicast
        assert ip.version == 4 or str(ip)[0] in "23"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost/", "http://localhost./", "http://127.1/", "http://0x7f.1/", "http://0/",
        "http://2130706433/", "http://017700000001/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::]/",
        "http://169.254.169.254/latest/meta-data/", "https://no-such-name.invalid/", "http://8.8.8.8:8080/",
        "https://8.8.8.8:80/", "http://8.8.8.8:443/", "http://somebody@8.8.8.8/", "http://a:b@8.8.8.8/",
        "ftp://8.8.8.8/", "file:///etc/passwd", "gopher://8.8.8.8/", "http:///", "http://", "//8.8.8.8/", "8.8.8.8",
        "http://[fe80::1%25lo]/", "http://%31%32%37.0.0.1/", "http://127.0.0.1\\@8.8.8.8/", "http://1\uff127.0.0.1/",
        "http://ⓛocalhost/",
    ],
)  # fmt: skip
def test_nothing_of_this_machine_or_of_no_public_port_is_fetched(url: str) -> None:
    with pytest.raises(Refused):
        fetch(url, private=False)


def test_the_loopback_server_that_others_reach_is_refused_where_private_is(site: Site) -> None:
    url = site.says(OK)
    assert fetch(url).body == OK
    before = len(site.requests)
    with pytest.raises(Refused):
        fetch(url, private=False)
    assert len(site.requests) == before


def test_all_addresses_of_a_name_have_to_be_public(names: Callable[..., list[str]]) -> None:
    names(["8.8.8.8", "10.0.0.1"])
    with pytest.raises(Refused):
        fetch(f"http://{HOST}/", private=False)


def test_a_name_is_resolved_once_and_the_connection_goes_to_what_was_checked(
    site: Site, names: Callable[..., list[str]]
) -> None:
    asked = names(["127.0.0.1"], ["192.0.2.1"])  # whoever asked again would be sent elsewhere
    assert fetch(site.says(OK, host=HOST)).body == OK
    assert asked == [HOST]
    assert f"Host: {HOST}:{site.port}" in site.requests[-1]


def test_a_name_that_changes_between_redirects_is_checked_anew(
    site: Site, names: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in DNS rebinding: what was public for the first request is our own machine for the second."""
    monkeypatch.setattr(fetching, "is_public", lambda address: address == "127.0.0.1")  # the one that is here to answer
    monkeypatch.setattr(fetching, "PORTS", {"http": site.port, "https": 443})
    asked = names(["127.0.0.1"], ["169.254.169.254"])
    site.says(redirect("/again"), path="/rebinding")
    with pytest.raises(Refused):
        fetch(f"http://{HOST}/rebinding", private=False)
    assert asked == [HOST, HOST]


def test_the_next_address_is_tried_when_one_does_not_answer(site: Site, names: Callable[..., list[str]]) -> None:
    names(["127.0.0.2", "127.0.0.1"])  # the site listens on the second alone
    assert fetch(site.says(OK, host=HOST)).body == OK


def test_names_are_resolved_ipv4_first_and_nothing_is_known_of_what_does_not_exist() -> None:
    async def both() -> tuple[list[str], list[str]]:
        return await fetching.resolve("localhost", 80), await fetching.resolve("a..b", 80)

    found, nothing = asyncio.run(both())
    assert "127.0.0.1" in found
    assert found == sorted(found, key=lambda address: ip_address(address).version)
    assert nothing == []


# ---------------------------------------------------------------- TLS


def test_certificates_are_verified_against_the_name_and_not_the_address(
    secure: Site, names: Callable[..., list[str]]
) -> None:
    names(["127.0.0.1"])
    assert fetch(secure.says(OK, host=HOST)).body == OK
    assert reason(secure.says(OK, host="other.example.com")) == "unreachable"
    assert reason(secure.says(OK)) == "unreachable"


def test_a_certificate_of_nobody_we_believe_is_refused(
    secure: Site, names: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names(["127.0.0.1"])
    monkeypatch.undo()
    assert fetching.trust().verify_mode is ssl.CERT_REQUIRED
    assert fetching.trust().check_hostname
    assert reason(secure.says(OK, host="localhost")) == "unreachable"


# ---------------------------------------------------------------- redirects


def test_five_redirects_are_followed_and_no_sixth(site: Site) -> None:
    last = url = site.says(OK)
    for _ in range(5):
        url = site.says(redirect(url))
    found = fetch(url)
    assert (found.body, found.url) == (OK, last)
    assert reason(site.says(redirect(url))) == "redirects"


def test_a_redirect_may_be_relative_and_is_where_the_page_is(site: Site) -> None:
    site.says(OK, path="/jobs/7")
    assert fetch(site.says(redirect("7?a=b#c"), path="/jobs/old")).url == site.at("/jobs/7?a=b#c")


def test_a_loop_ends(site: Site) -> None:
    site.says(redirect("/loop"), path="/loop")
    assert reason(site.at("/loop")) == "redirects"


@pytest.mark.parametrize(
    "to",
    [
        "http://169.254.169.254/latest/meta-data/", "http://localhost/", "file:///etc/passwd", "ftp://8.8.8.8/",
        "http://8.8.8.8:22/", "http://a:b@8.8.8.8/", "http://[::1]/", "javascript:alert(1)", "http://[", "//10.0.0.1/",
    ],
)  # fmt: skip
def test_a_redirect_leads_nowhere_a_stranger_could_not_name(
    site: Site, names: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    monkeypatch.setattr(fetching, "PORTS", {"http": site.port, "https": 443})
    genuine = fetching.is_public
    real = fetching.resolve
    monkeypatch.setattr(fetching, "is_public", lambda address: address == "127.0.0.9" or genuine(address))

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.9"] if host == HOST else await real(host, port)

    monkeypatch.setattr(fetching, "resolve", resolve)
    pinned = fetching._backend
    monkeypatch.setattr(  # the site listens on 127.0.0.1, which is not to be public here
        fetching, "_backend", lambda addresses: pinned(["127.0.0.1" if a == "127.0.0.9" else a for a in addresses])
    )
    site.says(redirect(to), path="/away")
    with pytest.raises(Refused):
        fetch(f"http://{HOST}/away", private=False)


def test_from_https_no_redirect_leads_to_http(site: Site, secure: Site, names: Callable[..., list[str]]) -> None:
    names(["127.0.0.1"])
    assert reason(secure.says(redirect(site.says(OK)), host=HOST)) == "redirects"


# ---------------------------------------------------------------- how much, and how long


def test_no_cookie_no_referrer_and_no_credentials_go_along(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://192.0.2.1:1")
    to = site.says(OK)
    fetch(site.says(answer(b"", status="302 Found", Location=to, Set_Cookie="a=b")))
    sent = {line.partition(":")[0].lower() for line in site.requests[-1].split("\r\n")[1:] if line}
    assert sent == {"host", "user-agent", "accept", "accept-encoding", "connection"}
    assert f"User-Agent: {AGENT}" in site.requests[-1]


def test_a_page_may_have_two_mebibytes_and_not_one_more(site: Site) -> None:
    assert len(fetch(site.says(b" " * fetching.MAX_PAGE)).body) == fetching.MAX_PAGE
    assert reason(site.says(b" " * (fetching.MAX_PAGE + 1))) == "too_large"


def test_a_page_is_unpacked_and_a_bomb_is_not(site: Site) -> None:
    assert fetch(site.says(answer(gzip.compress(OK), Content_Encoding="gzip"))).body == OK
    bomb = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    packed = b"".join(bomb.compress(bytes(1024 * 1024)) for _ in range(100)) + bomb.flush()
    assert len(packed) < 200_000
    assert reason(site.says(answer(packed, Content_Encoding="gzip"))) == "too_large"
    nothing = gzip.compress(b"")[:10] + b"\0\0\0\xff\xff" * 500_000  # a header, and empty blocks without an end
    assert reason(site.says(answer(nothing, Content_Encoding="gzip"))) == "too_large"


@pytest.mark.parametrize(
    "speak",
    [
        answer(OK, Content_Encoding="br"),
        answer(OK, Content_Encoding="gzip, gzip"),
        answer(OK, Content_Encoding="gzip"),
        answer(gzip.compress(OK)[:-9], Content_Encoding="gzip"),
        answer(OK, media_type="application/pdf"),
        answer(OK, media_type="text/plain"),
        answer(OK, media_type=None),
    ],
)
def test_what_is_no_page_is_none(site: Site, speak: Any) -> None:
    assert reason(site.says(speak)) == "not_a_page"


@pytest.mark.parametrize(
    "status", ["404 Not Found", "403 Forbidden", "500 Oh no", "204 No Content", "206 Partial Content"]
)
def test_only_a_page_that_is_there_is_read(site: Site, status: str) -> None:
    assert reason(site.says(answer(b"" if "204" in status else OK, status=status))) == "status"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"nothing that is HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 200_000,
        bytes(range(256)),
    ],
)
def test_half_an_answer_is_none(site: Site, data: bytes) -> None:
    assert reason(site.says(says(data))) == "unreachable"


def test_a_port_where_nobody_answers_is_unreachable(site: Site) -> None:
    assert reason("http://127.0.0.1:1/") == "unreachable"


def test_who_answers_a_byte_at_a_time_is_left_alone_in_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "PATIENCE", 0.3)

    def drip(connection: Any) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
        for _ in range(40):
            connection.sendall(b"<")
            threading.Event().wait(0.05)

    assert reason(site.says(drip)) == "timeout"


def test_a_name_server_that_never_answers_is_left_alone_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "PATIENCE", 0.1)
    stuck = threading.Event()
    monkeypatch.setattr(fetching, "getaddrinfo", lambda *_, **__: stuck.wait(5))
    try:
        assert reason("http://slow.example.com/") == "timeout"
    finally:
        stuck.set()
