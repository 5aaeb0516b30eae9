"""Which new passwords are refused, and that a good one is not."""

import asyncio
import gzip
import logging
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import settings
from shared.errors import ValidationFailed
from shared.security import password_quality
from shared.settings import SettingsError
from tests.conftest import PASSWORD, Client
from tests.security import breached_passwords
from tests.security.breached_passwords import Exchange, RangeServer, answering, padding, split

pytestmark = pytest.mark.usefixtures("environment")

ADA = ("ada.lovelace@engines.example.com", "Ada", "Lovelace", "Babbage & Co")

GOOD = [
    PASSWORD,
    "correct horse battery",
    "12 45 78 0",
    "tr0mbone-xylem",
    "kq7vz0xw2m",
    "Dva metra pod vodoi",
    "\u6f22\u5b57\u4eee\u540d\u4ea4\u3058\u308a\u6587\u7ae0\u4f53",
    "the annual planning banner",
    "aaaa is how my cat types",
    "19840203174",
]


def refusal(password: str, about: tuple[str | None, ...] = ()) -> str | None:
    """The code a password is refused with."""
    try:
        asyncio.run(password_quality.check(password, field="new_password", about=about))
    except ValidationFailed as refused:
        (fault,) = refused.facts["errors"]
        assert fault["field"] == "new_password"
        assert password not in fault["message"]
        return str(fault["code"])
    return None


@pytest.mark.parametrize("password", GOOD)
def test_a_good_password_is_accepted(password: str) -> None:
    assert refusal(password, ADA) is None


# ---------------------------------------------------------------- common


def test_the_list_has_more_passwords_than_are_asked_for() -> None:
    """OWASP ASVS 5.0, 6.2.4: at least 3,000 that satisfy the rule of length; the least that can be set is 8."""
    words = gzip.decompress(password_quality.COMMON.read_bytes()).decode().splitlines()
    assert words == sorted(words, key=str.encode)
    assert len(set(words)) == len(words) > 80_000
    assert all(word == unicodedata.normalize("NFC", word.casefold()) for word in words)
    assert sum(len(word) >= 8 for word in words) > 30_000
    assert sum(len(word) >= 10 for word in words) > 10_000


def test_a_search_by_halves_finds_every_word_of_the_list_and_no_other() -> None:
    words = gzip.decompress(password_quality.COMMON.read_bytes()).decode().splitlines()
    tried = [words[0], words[-1], *words[::997]]
    assert all(password_quality._is_listed(word) for word in tried)
    listed = set(words)
    others = {other for word in tried for other in (word[:-1], word + "x", "", "\n", "~", "\U0010ffff")}
    assert {other for other in others if password_quality._is_listed(other)} == others & listed


@pytest.mark.parametrize(
    "password",
    [
        "1234567890",
        "qwertyuiop",
        "1q2w3e4r5t",
        "basketball",
        "BasketBall",
        "password123",
        "Password123!",
        "P@ssw0rd2026",
        "p455w0rd!!",
        "!!monkey99",
        "1liverpool1",
        "$unflower1!",
        "photography",
        "Lovelace1815",
        "jobtrail2026",
        "JobTrail!!",
        "recruiter1",
    ],
)
def test_what_anybody_would_try_first_is_refused(password: str) -> None:
    assert refusal(password) == "password_common"


@pytest.mark.parametrize("password", ["monkey#48213", "monkey xylem", "48monkey213x", "liverpool town hall"])
def test_a_common_word_with_more_than_a_little_around_it_is_another_password(password: str) -> None:
    assert refusal(password) is None


@pytest.mark.parametrize(
    "password",
    [
        "a" * 10,
        " " * 10,
        "\U0001f511" * 128,
        "\u00e9" * 12,
        "xK9#xK9#xK9#",
        "hx7!qhx7!qhx7!q",
        "abcdefghijkl",
        "zyxwvutsrqpo",
        "9876543210",
        "lkjhgfdsapoiuy",
        "qwertzuiop123",
        "azertyuiop12!",
        "aaaabbbbcccc",
        "1111222233334444",
        "\u0439\u0446\u0443\u043a\u0435\u043d\u0433\u0448\u0449\u0437",
    ],
)
def test_what_only_repeats_or_runs_on_is_refused(password: str) -> None:
    assert refusal(password) == "password_common"


@given(unit=st.text("abcdefgXYZ012 -!\u00e9\u6f22\U0001f511", min_size=1, max_size=9), times=st.integers(10, 12))
def test_nothing_shorter_than_a_password_becomes_one_by_repetition(unit: str, times: int) -> None:
    assert password_quality.is_monotonous(unit * times, least=10)


@given(password=st.text(min_size=10, max_size=128))
def test_a_password_is_judged_alike_however_it_is_composed(password: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, password) for form in ("NFC", "NFD"))
    assert refusal(composed, ADA) == refusal(decomposed, ADA)


# ---------------------------------------------------------------- like the account


@pytest.mark.parametrize(
    "password",
    [
        "ada.lovelace@engines.example.com",
        "ada.lovelace",
        "AdaLovelace",
        "lovelace-ada-1",
        "Lovelace Ada 1815",
        "xxlovelacexx",
        "l\u00f3v\u00e9l\u00e0ce-xq",
        "ada.l0velac",
        "enginesxq7",
        "engines.example",
        "babbage-co",
        "lovelacexyada",
        "velace-xq7",
    ],
)
def test_a_password_made_of_the_owners_own_names_is_refused(password: str) -> None:
    assert refusal(password, ADA) in ("password_like_account", "password_common")
    assert password_quality.is_like(password, ADA)


@pytest.mark.parametrize(
    ("password", "about"),
    [
        ("an annual planning manner", ("ann@an.example.com", "Ann", "An")),
        ("leek and potato soup", ("lee@ed.io", "Lee", "Ed")),
        ("margarine boats", ("margaret@example.com", "Margaret", "Boa")),
        ("adagio for strings", ("ada@example.com", "Ada", None)),
        ("comfortable gull", ("com@com.com", "", "Al")),
        ("kq7vz0xw2m", ("k@q.example.com", "q", "7vz")),
    ],
)
def test_a_short_name_in_a_long_password_is_no_likeness(password: str, about: tuple[str | None, ...]) -> None:
    assert refusal(password, about) is None


def test_what_is_not_known_of_an_account_is_like_nothing() -> None:
    assert refusal(PASSWORD, (None, "", " ", "@", "@@", ".@.", "\u0301")) is None


def edits(one: str, other: str) -> int:
    """Levenshtein's distance by its definition."""
    if not one or not other:
        return len(one) + len(other)
    if one[0] == other[0]:
        return edits(one[1:], other[1:])
    return 1 + min(edits(one[1:], other), edits(one, other[1:]), edits(one[1:], other[1:]))


few_letters = st.text(alphabet="abc", max_size=6)


@given(one=few_letters, other=few_letters, most=st.integers(0, 6))
def test_the_distance_is_levenshteins(one: str, other: str, most: int) -> None:
    assert password_quality._is_within(one, other, most) == (edits(one, other) <= most)


# ---------------------------------------------------------------- at registration


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short", "password_length"),
        ("P@ssw0rd2026", "password_common"),
        ("ada-lovelace", "password_like_account"),
        (f"{PASSWORD} 2", "password_breached"),
    ],
)
def test_registration_refuses_a_bad_password_by_its_code_and_makes_no_account(
    client: Client, ranges: RangeServer, password: str, code: str
) -> None:
    known = split(f"{PASSWORD} 2")[1]
    ranges.behave = answering(f"{known}:3", *padding(10))
    body = {"email": "ada.lovelace.tries@engines.example.com", "first_name": "Ada", "last_name": "Lovelace"}
    refused = client.post("/api/auth/register", body | {"password": password})
    assert refused.status_code == 422
    assert [(fault["field"], fault["code"]) for fault in refused.json()["errors"]] == [("password", code)]
    assert password not in refused.text
    assert client.post("/api/auth/login", {"email": body["email"], "password": password}).status_code == 401


# ---------------------------------------------------------------- breached


@pytest.fixture
def ranges(configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[RangeServer]:
    """A range server that this process asks, with more patience than the app has: the machine may be busy."""
    monkeypatch.setattr(password_quality, "TIMEOUT", 30)
    with breached_passwords.serve() as server:
        configure(BREACHED_PASSWORDS_URL=server.url)
        yield server


def is_breached(password: str = PASSWORD) -> bool:
    return asyncio.run(password_quality.is_breached(password))


PREFIX, SUFFIX = split(PASSWORD)


def test_only_five_digits_leave_and_padding_is_asked_for(ranges: RangeServer) -> None:
    assert not is_breached()
    (request,) = ranges.requests
    line, _, fields = request.partition("\r\n")
    assert line == f"GET /range/{PREFIX} HTTP/1.1"
    assert "add-padding: true" in fields.lower()
    assert SUFFIX not in request
    assert PASSWORD not in request


def test_the_address_may_be_written_with_or_without_a_slash_at_its_end(
    ranges: RangeServer, configure: Callable[..., None]
) -> None:
    configure(BREACHED_PASSWORDS_URL=ranges.url.rstrip("/"))
    is_breached()
    assert ranges.requests[0].startswith(f"GET /range/{PREFIX} ")


def test_a_password_is_looked_up_as_it_is_hashed(ranges: RangeServer) -> None:
    _, suffix = split("caf\u00e9 au lait")
    ranges.behave = answering(suffix)
    asyncio.run(password_quality.check("other than au lait"))
    with pytest.raises(ValidationFailed):
        asyncio.run(password_quality.check("cafe\u0301 au lait"))


@pytest.mark.parametrize(
    "line",
    [
        f"{SUFFIX}:1",
        f"{SUFFIX}:10",
        f"{SUFFIX}:1,234,567",
        f"{SUFFIX}:1.234",
        SUFFIX,
        SUFFIX.lower() + ":7",
        f" {SUFFIX}:2 ",
    ],
)
@pytest.mark.parametrize("end", ["\r\n", "\n"], ids=["CRLF", "LF"])
def test_a_password_in_the_range_is_breached_however_its_line_is_written(
    ranges: RangeServer, line: str, end: str
) -> None:
    ranges.behave = answering(*padding(5), line, *padding(5), end=end)
    assert is_breached()


@pytest.mark.parametrize(
    "line", [f"{SUFFIX}:0", f"{SUFFIX}:000", f"{SUFFIX[:-1]}{'0' if SUFFIX[-1] != '0' else '1'}:9"]
)
def test_padding_and_other_suffixes_are_no_breach(ranges: RangeServer, line: str) -> None:
    ranges.behave = answering(*padding(400), line, *padding(400))
    assert not is_breached()


def test_an_empty_range_is_no_breach(ranges: RangeServer) -> None:
    ranges.behave = answering()
    assert not is_breached()


def truncated(exchange: Exchange) -> None:
    body = f"{SUFFIX}:1\r\n".encode()
    exchange.send("200 OK", body, length=len(body) + 100)


def truncated_without_length(exchange: Exchange) -> None:
    exchange.connection.sendall(f"HTTP/1.1 200 OK\r\n\r\n{SUFFIX}:1\r\n{SUFFIX[:20]}".encode())


def truncated_chunks(exchange: Exchange) -> None:
    head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    exchange.connection.sendall(f"{head}27\r\n{SUFFIX}:1\r\n\r\n".encode())


def silent(exchange: Exchange) -> None:
    exchange.over.wait()


def trickling(exchange: Exchange) -> None:
    exchange.send("200 OK", f"{SUFFIX}:1\r\n".encode(), length=10_000)
    while not exchange.over.wait(0.02):
        exchange.connection.sendall(b"0")


def endless(exchange: Exchange) -> None:
    exchange.connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while not exchange.over.is_set():
        exchange.connection.sendall(f"{SUFFIX}:1\r\n".encode() * 1000)


def endless_head(exchange: Exchange) -> None:
    exchange.connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not exchange.over.is_set():
        exchange.connection.sendall(b"X-More: and more\r\n" * 1000)


def failing(exchange: Exchange) -> None:
    exchange.send("503 Service Unavailable", f"{SUFFIX}:1".encode())


def limiting(exchange: Exchange) -> None:
    exchange.send("429 Too Many Requests", f"{SUFFIX}:1".encode(), "Retry-After: 2")


def redirecting(exchange: Exchange) -> None:
    exchange.send("302 Found", b"", f"Location: /elsewhere{exchange.path}")


def refusing(exchange: Exchange) -> None:
    exchange.connection.close()


def not_http(exchange: Exchange) -> None:
    exchange.connection.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")


def page(exchange: Exchange) -> None:
    exchange.send("200 OK", f"<html>{SUFFIX}:1</html>\r\n{SUFFIX}:1".encode(), "Content-Type: text/html")


def binary(exchange: Exchange) -> None:
    exchange.send("200 OK", f"{SUFFIX}:1\r\n".encode() + bytes(range(128, 256)))


def compressed(exchange: Exchange) -> None:
    exchange.send("200 OK", gzip.compress(f"{SUFFIX}:1".encode()), "Content-Encoding: gzip")


def odd_count(exchange: Exchange) -> None:
    exchange.send("200 OK", f"{SUFFIX}:1\r\n{SUFFIX}:many".encode())


UNSOUND = [
    truncated,
    truncated_without_length,
    truncated_chunks,
    silent,
    trickling,
    endless,
    endless_head,
    failing,
    limiting,
    redirecting,
    refusing,
    not_http,
    page,
    binary,
    compressed,
    odd_count,
]


@pytest.mark.parametrize("behave", UNSOUND)
def test_without_a_sound_answer_the_password_passes_and_the_log_says_so_but_not_which(
    ranges: RangeServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    behave: Callable[[Exchange], None],
) -> None:
    monkeypatch.setattr(password_quality, "TIMEOUT", 0.15)
    caplog.set_level(logging.DEBUG)
    ranges.behave = behave
    assert not is_breached()
    assert len(ranges.requests) == 1
    (record,) = [record for record in caplog.records if record.name == password_quality.__name__]
    assert record.getMessage().startswith("a password was not looked up among breached ones: ")
    assert PREFIX not in caplog.text
    assert SUFFIX not in caplog.text


@pytest.mark.parametrize("behave", [endless, endless_head])
def test_what_is_read_has_a_bound_however_much_time_there_is(
    ranges: RangeServer, caplog: pytest.LogCaptureFixture, behave: Callable[[Exchange], None]
) -> None:
    ranges.behave = behave
    assert not is_breached()
    assert "TimeoutError" not in caplog.text
    assert "not looked up" in caplog.text


def test_where_nobody_listens_the_password_passes(configure: Callable[..., None]) -> None:
    with breached_passwords.serve() as server:
        url = server.url
    configure(BREACHED_PASSWORDS_URL=url)
    assert not is_breached()


def test_a_sound_answer_is_not_logged_either(ranges: RangeServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ranges.behave = answering(f"{SUFFIX}:1")
    assert is_breached()
    assert PREFIX not in caplog.text


def test_a_password_that_is_refused_anyway_is_asked_of_nobody(ranges: RangeServer) -> None:
    for password in ("short", "P@ssw0rd2026", "ada-lovelace"):
        assert refusal(password, ADA)
    assert ranges.requests == []


def test_nobody_is_asked_unless_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_: Any) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(password_quality, "_get", ask)
    assert settings.current().breached_passwords_url is None
    assert not is_breached()


@pytest.mark.parametrize(
    "url",
    [
        "api.pwnedpasswords.com",
        "http://api.pwnedpasswords.com/range/",
        "ftp://api.pwnedpasswords.com/",
        "https://",
        "https:///range/",
        "https://api.example.com/?range=",
        "https://api.example.com/range/#",
        "https://api.example.com/ra nge/",
        "http://127.0.0.1.example.com/",
        "https://ada:secret@api.example.com/",
    ],
)
def test_an_address_to_ask_that_will_not_do_is_refused_at_start(configure: Callable[..., None], url: str) -> None:
    configure(BREACHED_PASSWORDS_URL=url)
    with pytest.raises(SettingsError, match="BREACHED_PASSWORDS_URL"):
        settings.current()


@pytest.mark.parametrize(
    "url", ["https://api.pwnedpasswords.com/range/", "https://mirror.example.com:8443", "http://localhost:8080/range"]
)
def test_an_address_to_ask_may_be_a_mirror(configure: Callable[..., None], url: str) -> None:
    configure(BREACHED_PASSWORDS_URL=url)
    assert settings.current().breached_passwords_url == url
