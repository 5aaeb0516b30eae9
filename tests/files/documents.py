"""Files as people have them, and as people make them who mean ill."""

import io
import struct
import zipfile
from collections.abc import Mapping

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
PDF = b"%PDF-1.7\n1 0 obj << >> endobj\ntrailer << >>\n%%EOF\n"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(17)
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(20)
DOC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + "WordDocument".encode("utf-16-le") + bytes(488)
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR" + b"-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


def document(*paragraphs: str, prolog: str = "") -> bytes:
    body = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs)
    return f'<?xml version="1.0"?>{prolog}<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>'.encode()


def docx(
    *paragraphs: str, main: bytes | None = None, more: Mapping[str, bytes] = {}, method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", document(*paragraphs) if main is None else main)
        for name, content in more.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def patched(content: bytes, signature: bytes, offset: int, form: str, *values: int) -> bytes:
    """The bytes with a number of the last structure of that signature replaced."""
    changed = bytearray(content)
    struct.pack_into(form, changed, content.rfind(signature) + offset, *values)
    return bytes(changed)


def overlapping() -> bytes:
    """A zip of two more parts, the second of which begins where the first does."""
    content = docx("x", more={"a": b"x" * 100, "b": b"x" * 100}, method=zipfile.ZIP_STORED)
    a = content.find(b"PK\x03\x04", content.find(b"word/document.xml"))
    return patched(content, b"PK\x01\x02", 42, "<L", a)
