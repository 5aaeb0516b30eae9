"""Azurite, Microsoft's own stand-in for Blob Storage, in a process of its own: none where there is no Node."""

import base64
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from local.project import ROOT
from tests.processes import eventually, free_port

VERSION = "3.35.0"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key that every Azurite has; no secret (learn.microsoft.com, "Well-known storage account and key")."""


def program() -> Path:
    """Azurite's, installed below ``.local`` the first time."""
    place = ROOT / ".local" / "azurite"
    found = place / "node_modules" / ".bin" / "azurite-blob"
    if found.exists():
        return found
    npm = shutil.which("npm")
    if not npm or not shutil.which("node"):
        pytest.skip("NOT RUN: there is no Node on this machine, so no Azurite")
    place.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(place), f"azurite@{VERSION}"]
    installed = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if installed.returncode:
        pytest.skip(f"NOT RUN: Azurite could not be installed: {installed.stderr[-200:]}")
    return found


@contextmanager
def running(
    directory: Path, *options: str, scheme: str = "http", verify: ssl.SSLContext | bool = True
) -> Iterator[str]:
    """The address of an account, until the end."""
    port = free_port()
    with (directory / "azurite.log").open("w") as log:
        quiet = ("--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent")
        process = subprocess.Popen(
            [program(), "--blobPort", str(port), *quiet, *options],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "NO_UPDATE_NOTIFIER": "1"},
        )

    def answers() -> bool:
        assert process.poll() is None, (directory / "azurite.log").read_text()
        try:
            httpx.get(f"{scheme}://127.0.0.1:{port}/", verify=verify)
        except httpx.TransportError:
            return False
        return True

    try:
        eventually(answers, within=30)
        yield f"{scheme}://127.0.0.1:{port}/{ACCOUNT}"
    finally:
        process.kill()
        process.wait(10)


def connection_string(url: str) -> str:
    scheme = url.partition(":")[0]
    return f"DefaultEndpointsProtocol={scheme};AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={url};"


def jwt(**claims: object) -> str:
    """A token as Entra would issue it, but for its signature, which Azurite does not look at."""
    import json

    def part(content: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{part(claims)}.c2ln"
