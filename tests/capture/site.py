"""A web site on this machine that says what it is told to: postings, redirects, and whatever else a stranger's does."""

import datetime
import json
import socketserver
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "jobs.example.com"
"""Whose certificate the site has."""

Speak = Callable[[Any], None]
"""Says something on a connection, byte for byte."""

POSTING: dict[str, Any] = {
    "@context": "https://schema.org/",
    "@type": "JobPosting",
    "title": "Engineer",
    "hiringOrganization": {"@type": "Organization", "name": "Contoso"},
}


def page(*documents: Any, before: str = "") -> bytes:
    """A page that describes things."""
    written = (json.dumps(document).replace("</", "<\\/") for document in documents)
    scripts = "".join(f'<script type="application/ld+json">{one}</script>' for one in written)
    return f"<!DOCTYPE html><html><head><title>Jobs</title>{before}{scripts}</head><body></body></html>".encode()


@dataclass
class Site:
    """The site: ``answers`` by path, and the requests it got."""

    encrypted: bool = False
    answers: dict[str, Speak] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        site = self

        class Connection(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                try:
                    connection = self.request
                    if site.encrypted:
                        connection = server_context().wrap_socket(connection, server_side=True)
                    received = b""
                    while b"\r\n\r\n" not in received:
                        if not (more := connection.recv(65536)):
                            return
                        received += more
                    request = received.decode("latin-1")
                    site.requests.append(request)
                    path = request.split(" ", 2)[1].partition("?")[0]
                    site.answers.get(path, answer(b"", status="404 Not Found"))(connection)
                    connection.close()
                except OSError:  # whoever asked has gone
                    pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Connection)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def at(self, path: str, *, host: str = "127.0.0.1") -> str:
        return f"http{'s' if self.encrypted else ''}://{host}:{self.port}{path}"

    def says(self, speak: Speak | bytes, *, host: str = "127.0.0.1", path: str | None = None) -> str:
        """The address of a page that answers so."""
        path = path or f"/{token_hex(8)}"
        self.answers[path] = answer(speak) if isinstance(speak, bytes) else speak
        return self.at(path, host=host)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@cache
def site() -> Site:
    """The one that all tests share."""
    return Site()


def answer(
    body: bytes, *, status: str = "200 OK", media_type: str | None = "text/html; charset=utf-8", **headers: str
) -> Speak:
    """A well-formed answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"Content-Type: {media_type}"] if media_type else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return says("\r\n".join([*lines, "", ""]).encode() + body)


def says(data: bytes) -> Speak:
    return lambda connection: connection.sendall(data)


def redirect(to: str, status: str = "302 Found") -> Speak:
    return answer(b"", status=status, Location=to)


# ---------------------------------------------------------------- certificates


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@cache
def _authority() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _certificate("A local authority", "A local authority", key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256()), key


def _certificate(subject: str, issuer: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )


@cache
def server_context() -> ssl.SSLContext:
    """The site's certificate, for HOST alone."""
    _, authority_key = _authority()
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _certificate(HOST, "A local authority", key.public_key())
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
    certificate = builder.sign(authority_key, hashes.SHA256())
    file = Path(mkdtemp()) / "site.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def client_context() -> ssl.SSLContext:
    """Believes the local authority, and no other."""
    authority, _ = _authority()
    return ssl.create_default_context(cadata=authority.public_bytes(serialization.Encoding.PEM).decode())
