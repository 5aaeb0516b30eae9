"""One-time passwords: RFC 6238's own vectors, the steps that are good, and a QR code that says the URI."""

import re
from base64 import b32decode
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

import pyotp
import pytest
import segno

from shared.security import totp

SECRET = b"12345678901234567890"
NOW = 1_000_000


def code_of(step: int) -> str:
    return pyotp.TOTP(totp.text(SECRET)).generate_otp(step)


@pytest.fixture(autouse=True)
def _standing_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totp, "present_step", lambda: NOW)


# RFC 6238, appendix B: Unix time and the eight digits for SHA-1, of which six are the last six.
VECTORS = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]


@pytest.mark.parametrize(("seconds", "digits"), VECTORS)
def test_the_codes_are_those_of_the_rfc(seconds: int, digits: str, monkeypatch: pytest.MonkeyPatch) -> None:
    step = seconds // totp.STEP_SECONDS
    monkeypatch.setattr(totp, "present_step", lambda: step)
    assert totp.step_of(SECRET, digits[-6:]) == step


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_a_clock_may_be_off_by_one_step(off: int) -> None:
    assert totp.step_of(SECRET, code_of(NOW + off)) == NOW + off


@pytest.mark.parametrize("off", [-1000, -3, -2, 2, 3, 1000])
def test_a_clock_may_not_be_off_by_more(off: int) -> None:
    assert totp.step_of(SECRET, code_of(NOW + off)) is None


def test_of_two_steps_with_the_same_code_it_is_the_newer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyotp.TOTP.generate_otp", lambda self, step: "123456")
    assert totp.step_of(SECRET, "123456") == NOW + 1


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦"])
def test_what_is_no_code_is_of_no_step(code: str) -> None:
    assert totp.step_of(SECRET, code) is None


def test_a_secret_has_160_bits_and_never_comes_again() -> None:
    secrets = {totp.new_secret() for _ in range(100)}
    assert (len(secrets), {len(secret) for secret in secrets}) == (100, {20})
    assert b32decode(totp.text(SECRET)) == SECRET


def test_the_uri_is_what_authenticator_apps_read() -> None:
    uri = urlsplit(totp.uri(SECRET, account="ada+jobs@example.com"))
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", "/Jobtrail:ada+jobs@example.com")
    said = parse_qs(uri.query)
    assert (said["secret"], said["issuer"]) == ([totp.text(SECRET)], ["Jobtrail"])
    # What it does not say, apps take to be SHA1, 6 digits and 30 seconds: which it must be.
    assert said.keys() - {"secret", "issuer"} <= {"algorithm", "digits", "period"}
    assert said.get("algorithm", ["SHA1"]) == ["SHA1"]
    assert (said.get("digits", ["6"]), said.get("period", ["30"])) == (["6"], ["30"])


def test_the_picture_is_the_qr_code_of_the_uri() -> None:
    """Its modules, painted as the SVG says, are those of the symbol, with the quiet zone of four around them."""
    uri = totp.uri(SECRET, account="ada@example.com")
    symbol = [[bool(module) for module in row] for row in segno.make_qr(uri, error="m").matrix]
    svg = ElementTree.fromstring(totp.qr(uri))
    assert svg.tag == "{http://www.w3.org/2000/svg}svg", "a picture of its own, not only a part of a page"
    dark = next(path for path in svg.iter("{http://www.w3.org/2000/svg}path") if path.get("stroke"))
    painted = [[False] * len(symbol) for _ in symbol]
    x, y = 0.0, 0.0
    for command, numbers in re.findall(r"([MmhH])([-\d. ]+)", dark.attrib["d"]):
        values = [float(number) for number in numbers.split()]
        if command == "M":
            x, y = values
        elif command == "m":
            x, y = x + values[0], y + values[1]
        else:
            for column in range(int(x), int(x + values[0])):
                painted[int(y) - 4][column - 4] = True
            x += values[0]
    assert painted == symbol


def test_the_picture_needs_nothing_from_elsewhere() -> None:
    picture = totp.qr(totp.uri(SECRET, account='"><script>alert(1)</script>@example.com'))
    assert "script" not in picture
    assert picture.count("http") == 1, "the namespace, and no other address"
