"""What is refused for what it is, whatever it is called."""

import io
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import ValidationFailed
from shared.files import inspection
from tests.conftest import Person
from tests.files import documents

MEBIBYTE = 1024 * 1024


def without_types() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", documents.document("x"))
    return buffer.getvalue()


def lying() -> bytes:
    """A part that says it is small and is not."""
    content = documents.docx("x", more={"a": bytes(60 * MEBIBYTE)})
    return documents.patched(content, b"PK\x01\x02", 24, "<L", 10)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
REFUSED = {
    "nothing": (b"", "file_type"),
    "spaces": (b" \n", "file_type"),
    "HTML": (b"\n <!DOCTYPE html><script>alert(1)</script>", "file_type"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "file_type"),
    "XML": (b'\xef\xbb\xbf<?xml version="1.0"?><x/>', "file_type"),
    "a GIF": (b"GIF89a" + bytes(10), "file_type"),
    "a program": (b"MZ\x90\x00", "file_type"),
    "a text with a NUL": (b"Ada\0", "file_type"),
    "a text with an escape": (b"\x1b[2J", "file_type"),
    "Latin-1": (b"Sa\xf1a", "file_type"),
    "UTF-16": ("Ada".encode("utf-16"), "file_type"),
    "a PDF too late": (b"x" * 1024 + b"\0" + documents.PDF, "file_type"),
    "a spreadsheet": (documents.DOC.replace(b"W\0o\0r\0d\0", b"B\0o\0o\0k\0"), "file_type"),
    "a DOC with macros": (documents.DOC + "_VBA_PROJECT".encode("utf-16-le"), "macros"),
    "a zip": (without_types(), "file_type"),
    "a DOCX with macros": (documents.docx("x", more={"word/vbaProject.bin": b"x"}), "macros"),
    "half a DOCX": (documents.docx("x")[:-40], "damaged"),
    "a DOCX that is no XML": (documents.docx(main=b"<w:document"), "damaged"),
    "a DOCX with a broken part": (documents.patched(documents.docx("x"), b"PK\x01\x02", 16, "<L", 7), "damaged"),
    "too many parts": (documents.docx("x", more={f"{n}": b"" for n in range(2000)}), "too_many_parts"),
    "a bomb": (documents.docx("x", more={"a": bytes(60 * MEBIBYTE)}), "too_large_unpacked"),
    "a small bomb": (documents.docx("x", more={"a": bytes(5 * MEBIBYTE)}), "too_large_unpacked"),
    "a bomb that says it is none": (lying(), "damaged"),
    "parts that share bytes": (documents.overlapping(), "overlapping_parts"),
    "an encrypted part": (documents.patched(documents.docx("x"), b"PK\x01\x02", 8, "<H", 1), "encrypted"),
    "the 64-bit format": (documents.patched(documents.docx("x"), b"PK\x05\x06", 8, "<2H", 0xFFFF, 0xFFFF), "zip64"),
    "a directory elsewhere": (documents.patched(documents.docx("x"), b"PK\x05\x06", 16, "<L", 7), "damaged"),
    "an unknown method": (documents.patched(documents.docx("x"), b"PK\x01\x02", 10, "<H", 99), "damaged"),
    "a billion laughs": (
        documents.docx(main=documents.document("&l9;", prolog=f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>')),
        "doctype",
    ),
    "a file of the machine's": (
        documents.docx(main=documents.document("&x;", prolog='<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>')),
        "doctype",
    ),
}


@pytest.mark.parametrize(("content", "code"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        inspection.inspect(content)
    assert refused.value.facts["errors"][0]["code"] == code


def test_a_refusal_is_told_of_the_field(person: Person) -> None:
    refused = person.upload(documents.overlapping(), "cv.docx")
    assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")
    assert refused.json()["errors"] == [
        {"field": "file", "code": "overlapping_parts", "message": "must not have parts that share their bytes"}
    ]


def test_a_long_document_is_none_too_large() -> None:
    paragraphs = [f"Paragraph {n} of a thesis." for n in range(20_000)]
    found = inspection.inspect(documents.docx(*paragraphs))
    assert found.statistics == {"words": 100_000, "lines": 20_000, "characters": sum(map(len, paragraphs)) + 20_000}


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=60).map(lambda tail: b"PK\x03\x04" + tail + b"PK\x05\x06" + bytes(18)),
        st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=8)).map(
            lambda change: spoilt(documents.docx("Ada", "Lovelace"), *change)
        ),
    )
)
def test_whatever_comes_it_is_taken_or_refused(content: bytes) -> None:
    with suppress(ValidationFailed):
        assert inspection.inspect(content).media_type in inspection.EXTENSIONS


def spoilt(content: bytes, at: int, by: bytes) -> bytes:
    at %= len(content)
    return content[:at] + by + content[at + len(by) :]


@given(st.text(max_size=300), st.sampled_from(sorted(inspection.EXTENSIONS)))
def test_a_name_has_always_an_end_that_fits_and_is_a_name_already(name: str, media_type: str) -> None:
    named = inspection.named(name, media_type)
    assert named.lower().endswith(inspection.EXTENSIONS[media_type])
    assert 0 < len(named) <= inspection.MAX_NAME
    assert not set(named) & set("/\\\0\r\n\u202e")
    assert inspection.named(named, media_type) == named
    header = inspection.disposition(named)
    assert header.isascii()
    assert header.isprintable()


# ---------------------------------------------------------------- forms

FIELD = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="cv.txt"\r\n\r\nAda\r\n'
END = b"--x--\r\n"
FORMS = {
    "no boundary": (FILE + END, "multipart/form-data", 400),
    "another boundary": (FILE + END, "multipart/form-data; boundary=y", 400),
    "cut off": (FILE[:-4], "multipart/form-data; boundary=x", 400),
    "nothing": (b"", "multipart/form-data; boundary=x", 400),
    "a part without a name": (b"--x\r\n\r\nAda\r\n" + END, "multipart/form-data; boundary=x", 400),
    "a huge header": (
        b"--x\r\nX: " + b"x" * 9_000_000 + b"\r\n\r\nAda\r\n" + END,
        "multipart/form-data; boundary=x",
        400,
    ),
    "many parts": (FILE + FIELD % (b"a", b"b") * 100_000 + END, "multipart/form-data; boundary=x", 400),
    "a long field": (FILE + FIELD % (b"name", b"x" * 100_000) + END, "multipart/form-data; boundary=x", 400),
    "no file": (FIELD % (b"kind", b"other") + END, "multipart/form-data; boundary=x", 422),
    "two files": (FILE * 2 + END, "multipart/form-data; boundary=x", 422),
    "a file by another name": (FILE.replace(b'"file"', b'"cv"') + END, "multipart/form-data; boundary=x", 422),
    "a field twice": (FILE + FIELD % (b"kind", b"other") * 2 + END, "multipart/form-data; boundary=x", 422),
    "an unknown field": (FILE + FIELD % (b"size", b"3") + END, "multipart/form-data; boundary=x", 422),
    "no form": (b"{}", "application/json", 415),
    "a form of another kind": (b"file=Ada", "application/x-www-form-urlencoded", 415),
    "too large": (
        FILE.replace(b"Ada", b"A" * (10 * MEBIBYTE + 1)) + END,
        "multipart/form-data; boundary=x",
        413,
    ),
    "larger still": (bytes(11 * MEBIBYTE), "multipart/form-data; boundary=x", 413),
}


@pytest.mark.parametrize(("content", "media_type", "status"), FORMS.values(), ids=FORMS)
def test_a_form_that_is_none_is_refused(person: Person, content: bytes, media_type: str, status: int) -> None:
    refused = person.post("/api/files", content=content, headers={"Content-Type": media_type})
    assert refused.status_code == status, refused.text
    if status == 413:
        assert (refused.json()["code"], refused.json()["limit"]) == ("file_too_large", 10 * MEBIBYTE)


def test_ten_mebibytes_are_taken(person: Person) -> None:
    assert person.upload(b"A" * (10 * MEBIBYTE)).status_code == 201
