"""Blob Storage without any key of the account: the app's identity, and addresses signed by delegation."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest

from tests.conftest import Person
from tests.files import azurite, documents
from tests.files.conftest import CONTAINER, Stored
from tests.files.test_direct import announce, complete

SECRET = "the platform's own"


@pytest.fixture
def identity_endpoint() -> Iterator[str]:
    """The platform's, which gives tokens of the app's identity to whoever knows its header."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["X-IDENTITY-HEADER"] == SECRET and "resource=https%3A%2F%2Fstorage" in self.path
            now = int(time.time())
            token = azurite.jwt(
                aud="https://storage.azure.com",
                iss="https://sts.windows.net/00000000-0000-0000-0000-000000000001/",
                oid="00000000-0000-0000-0000-000000000002",
                tid="00000000-0000-0000-0000-000000000001",
                iat=now - 60,
                nbf=now - 60,
                exp=now + 3600,
            )
            self.send_response(200 if known else 401)
            self.end_headers()
            self.wfile.write(json.dumps({"access_token": token, "expires_on": str(now + 3600)}).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=[0.02]).start()
    yield f"http://127.0.0.1:{server.server_port}/token"
    server.shutdown()
    server.server_close()


def certify(directory: Path) -> tuple[Path, Path]:
    """A certificate of this machine for itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = directory / "certificate.pem", directory / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def test_a_file_comes_and_goes_without_a_key_of_the_account(
    start_app: Callable[..., str],
    new_person: Callable[..., Person],
    identity_endpoint: str,
    tmp_path: Path,
) -> None:
    from azure.storage.blob import BlobServiceClient

    certificate, key = certify(tmp_path)
    trust = ssl.create_default_context(cafile=certificate)
    options = ("--oauth", "basic", "--cert", str(certificate), "--key", str(key))
    with azurite.running(tmp_path, *options, scheme="https", verify=trust) as account:
        told = azurite.connection_string(account)
        BlobServiceClient.from_connection_string(told, connection_verify=str(certificate)).create_container(CONTAINER)
        app = Stored(
            "azure",
            start_app(
                FILE_STORE="azure",
                FILE_ACCOUNT_URL=account,
                IDENTITY_ENDPOINT=identity_endpoint,
                IDENTITY_HEADER=SECRET,
                REQUESTS_CA_BUNDLE=str(certificate),
            ),
        )
        person = new_person(app.url)
        file = announce(person, documents.PDF)
        upload = file["upload"]
        assert "skoid=" in upload["url"], "signed by delegation"

        def put() -> int:
            sent = httpx.put(upload["url"], content=documents.PDF, headers=upload["headers"], verify=trust)
            return sent.status_code

        assert (put(), put()) == (201, 403)
        assert complete(person, file).status_code == 200
        answer = person.get(f"/api/files/{file['id']}/content")
        assert answer.status_code == 302, answer.text
        content = httpx.get(answer.headers["location"], verify=trust)
        assert (content.content, content.headers["content-type"]) == (documents.PDF, "application/pdf")
