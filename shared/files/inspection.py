"""What a file is by its bytes: one of six kinds, or refused. No name and no header of the caller's is believed."""

import io
import re
import struct
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass
from xml.parsers import expat

from shared.errors import ValidationFailed

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
DOC = "application/msword"
TEXT = "text/plain"
PNG = "image/png"
JPEG = "image/jpeg"

EXTENSIONS = {
    PDF: (".pdf",),
    DOCX: (".docx",),
    DOC: (".doc",),
    TEXT: (".txt", ".md"),
    PNG: (".png",),
    JPEG: (".jpg", ".jpeg"),
}
"""What names may end in; the first is what a name without is given."""

MAX_ENTRIES = 2000
MAX_UNPACKED = 50 * 1024 * 1024
"""Bytes of all that is in a DOCX."""

MAX_RATIO = 200
"""How many times more it may be unpacked, beyond the first mebibyte. DEFLATE allows 1,032; text seldom reaches 20."""

MAX_NAME = 200
"""Characters of a name."""

END_OF_ZIP = b"PK\x05\x06"
ZIP64 = b"PK\x06\x07"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MARKUP = re.compile(r"\s*<(!doctype|\?xml|html|head|body|svg|script|!--)", re.IGNORECASE)
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


@dataclass(frozen=True, slots=True)
class Inspected:
    """What was found: the media type, and the text where there is one to be read without more than a parser."""

    media_type: str
    text: str | None = None

    @property
    def statistics(self) -> dict[str, int] | None:
        if self.text is None:
            return None
        return {
            "words": len(self.text.split()),
            "lines": len(self.text.splitlines()),
            "characters": len(self.text),
        }


def inspect(content: bytes) -> Inspected:
    """What these bytes are.

    Raises:
        ValidationFailed: nothing that is taken, or something that nobody should open.
    """
    if content.startswith(b"\x89PNG\r\n\x1a\n") and content[12:16] == b"IHDR":
        return Inspected(PNG)
    if content.startswith(b"\xff\xd8\xff"):
        return Inspected(JPEG)
    if content.startswith(OLE):
        return _doc(content)
    if content.startswith(b"PK\x03\x04"):
        return _docx(content)
    if b"%PDF-" in content[:1024]:  # ISO 32000-1, Annex H.3.4.1: readers look for it there
        return Inspected(PDF)
    return _text(content)


def refused(code: str, message: str) -> ValidationFailed:
    return ValidationFailed.of("file", code, message)


def _text(content: bytes) -> Inspected:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if not text.strip() or CONTROLS.search(text) or MARKUP.match(text):
        raise refused("file_type", "must be PDF, DOCX, DOC, plain text in UTF-8, PNG or JPEG")
    return Inspected(TEXT, text)


def _doc(content: bytes) -> Inspected:
    """The names of a compound file's streams stand in it as UTF-16."""
    if "WordDocument".encode("utf-16-le") not in content:
        raise refused("file_type", "must be a Word document, if it is a compound file")
    if "_VBA_PROJECT".encode("utf-16-le") in content:
        raise refused("macros", "must not contain macros")
    return Inspected(DOC)


def _docx(content: bytes) -> Inspected:
    damaged = refused("damaged", "is not a sound DOCX")
    try:
        _directory(content)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            document = _unpacked(archive, len(content))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, struct.error):
        raise damaged from None  # NotImplementedError, of a method or a password, is a RuntimeError
    try:
        return Inspected(DOCX, _paragraphs(document))
    except expat.ExpatError:
        raise damaged from None


def _directory(content: bytes) -> None:
    """Look at how much there is to read before reading it: the directory of a zip is in memory as soon as it is open.

    Raises:
        ValidationFailed: too much, or in the 64-bit format, which nothing of this size needs.
    """
    end = content.rfind(END_OF_ZIP, max(0, len(content) - 65_557))  # its comment has at most 65,535 bytes
    if end < 0:
        raise ValueError("no end of directory")
    disk, first_disk, here, entries, size, start = struct.unpack_from("<4H2L", content, end + 4)
    if ZIP64 in content[max(0, end - 20) : end] or 0xFFFF in (here, entries) or 0xFFFFFFFF in (size, start):
        raise refused("zip64", "must not be in the 64-bit zip format")
    if disk or first_disk or here != entries or start + size != end:
        raise ValueError("the directory is not where it should be")
    if entries > MAX_ENTRIES or size > MAX_ENTRIES * 512:
        raise refused("too_many_parts", f"must not have more than {MAX_ENTRIES} parts")


def _unpacked(archive: zipfile.ZipFile, size: int) -> bytes:
    """The main part, after every part was read to its end: what a zip says of itself is not what it is.

    Raises:
        ValidationFailed: it is no Word document, has macros, or is more than anybody should unpack.
    """
    parts = archive.infolist()
    names = [part.filename for part in parts]
    if len(parts) > MAX_ENTRIES or len(set(names)) != len(names):
        raise refused("too_many_parts", f"must have up to {MAX_ENTRIES} parts, each once")
    if "[Content_Types].xml" not in names or "word/document.xml" not in names:
        raise refused("file_type", "must be a Word document, if it is a zip")
    if any(name.lower().endswith(("vbaproject.bin", "vbadata.xml")) for name in names):
        raise refused("macros", "must not contain macros")
    if any(part.flag_bits & 1 for part in parts):
        raise refused("encrypted", "must not be encrypted")
    allowed = min(MAX_UNPACKED, 1024 * 1024 + size * MAX_RATIO)
    if sum(part.file_size for part in parts) > allowed:
        raise refused("too_large_unpacked", "must not be that much larger when it is unpacked")
    end = 0
    for part in sorted(parts, key=lambda part: part.header_offset):
        if part.header_offset < end:  # "A better zip bomb" (Fifield, 2019): parts that share their bytes
            raise refused("overlapping_parts", "must not have parts that share their bytes")
        end = part.header_offset + 30 + part.compress_size
    document = b""
    for part in parts:
        with archive.open(part) as stream:
            if part.filename == "word/document.xml":
                document = stream.read(part.file_size + 1)
                continue
            while chunk := stream.read(65_536):
                allowed -= len(chunk)
                if allowed < 0:
                    raise refused("too_large_unpacked", "must not be that much larger when it is unpacked")
    return document


def _paragraphs(document: bytes) -> str:
    """The text of a Word document's main part. It may declare no entities: that is how XML explodes."""
    parser = expat.ParserCreate(namespace_separator="}")
    pieces: list[str] = []
    in_text = False

    def declared(*_: object) -> None:
        raise refused("doctype", "must not declare a document type")

    def started(name: str, _: object) -> None:
        nonlocal in_text
        in_text = name == WORD[1:] + "t"
        if name in (WORD[1:] + "tab", WORD[1:] + "br"):
            pieces.append("\t" if name.endswith("tab") else "\n")

    def ended(name: str) -> None:
        nonlocal in_text
        in_text = False
        if name == WORD[1:] + "p":
            pieces.append("\n")

    def said(text: str) -> None:
        if in_text:
            pieces.append(text)

    parser.StartDoctypeDeclHandler = declared
    parser.StartElementHandler = started
    parser.EndElementHandler = ended
    parser.CharacterDataHandler = said
    parser.Parse(document, True)
    return "".join(pieces)


# ---------------------------------------------------------------- names


def named(name: str, media_type: str) -> str:
    """A name that is one, ends in what the bytes are, and shows as it is: no path, no controls, no change of direction.

    A name that ends in something else keeps it and is given the right end after it: ``cv.exe`` is ``cv.exe.pdf``.
    """
    last = re.split(r"[/\\]", name)[-1]
    plain = "".join(c for c in unicodedata.normalize("NFC", last) if unicodedata.category(c)[0] != "C")
    plain = re.sub(r"\s+", " ", plain).strip(" .")
    extensions = EXTENSIONS[media_type]
    ending = next((end for end in extensions if plain.lower().endswith(end)), None)
    stem = plain[: -len(ending)].rstrip(" .") if ending else plain
    own = plain[len(plain) - len(ending) :] if ending else extensions[0]
    return (stem[: MAX_NAME - len(own)].rstrip(" .") or "file") + own


def disposition(name: str) -> str:
    """``Content-Disposition`` (RFC 6266): an attachment, by its name, and by one in ASCII for who reads no other."""
    from urllib.parse import quote

    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r'["\\%;]', "_", plain)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
