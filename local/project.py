"""What the project's files say to the local host: ``host.json`` and ``local.settings.json``.

Standard library only, so that the launcher can read them on the system's Python.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = ".local"
DEFAULT_PORT = 7071
APP = "/_local/app"
"""Where the local host has the pages that mail leads to."""

UNLOADABLE = 3
"""The exit status of a server process whose app could not be loaded, and which has said why."""


class Refusal(Exception):
    """A command cannot be carried out. The message is for whoever typed it; its last line names what to change."""


@dataclass(frozen=True, slots=True)
class HostJson:
    """The part of ``host.json`` that an HTTP or timer function can notice."""

    route_prefix: str = "api"
    custom_headers: Mapping[str, str] = field(default_factory=dict)
    function_timeout: float | None = None
    """Seconds; None when functions may take as long as they like."""


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """``local.settings.json``, the file in which ``func start`` looks too."""

    values: Mapping[str, str] = field(default_factory=dict)
    cors: tuple[str, ...] = ()
    cors_credentials: bool = False
    port: int = DEFAULT_PORT

    def environment(self) -> dict[str, str]:
        """The environment for the app: ``Values``, below what is really set."""
        return {**self.values, **os.environ}


def host_json(root: Path = ROOT) -> HostJson:
    """Read ``host.json``; a missing file means the host's defaults.

    Raises:
        Refusal: it is not JSON, or a setting in it has a wrong form.
    """
    content = _read(root / "host.json")
    http = _object(_object(content.get("extensions")).get("http"))
    return HostJson(
        route_prefix=str(http.get("routePrefix", "api")).strip("/"),
        custom_headers={name: str(value) for name, value in _object(http.get("customHeaders")).items()},
        function_timeout=_timeout(content.get("functionTimeout")),
    )


def local_settings(root: Path = ROOT) -> LocalSettings:
    """Read ``local.settings.json``; a missing file means no settings.

    Raises:
        Refusal: it is not JSON, is encrypted, or a setting in it has a wrong form.
    """
    content = _read(root / "local.settings.json")
    if content.get("IsEncrypted"):
        raise Refusal("local.settings.json is encrypted: decrypt it with `func settings decrypt`.")
    host = _object(content.get("Host"))
    port = host.get("LocalHttpPort", DEFAULT_PORT)
    if not isinstance(port, int):
        raise Refusal(f"local.settings.json: Host.LocalHttpPort must be a number, not {json.dumps(port)}.")
    origins = str(host.get("CORS", "")).split(",")
    return LocalSettings(
        values={name: _text(value) for name, value in _object(content.get("Values")).items()},
        cors=tuple(origin.strip().rstrip("/") for origin in origins if origin.strip()),
        cors_credentials=bool(host.get("CORSCredentials", False)),
        port=port,
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise Refusal(f"{file.name} is not JSON: {error}.") from None
    if not isinstance(content, dict):
        raise Refusal(f"{file.name} must hold a JSON object.")
    return content


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _timeout(value: object) -> float | None:
    """``hh:mm:ss`` in seconds; ``-1`` means no limit, as does leaving it out."""
    if value in (None, "-1"):
        return None
    match = re.fullmatch(r"(\d+):([0-5]?\d):([0-5]?\d)", str(value))
    if match is None:
        raise Refusal(f"host.json: functionTimeout must look like 00:05:00, not {json.dumps(value)}.")
    hours, minutes, seconds = map(int, match.groups())
    return float(hours * 3600 + minutes * 60 + seconds)
