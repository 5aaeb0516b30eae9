"""The app's own identity on Azure, asked of the platform (learn.microsoft.com, "REST endpoint reference").

azure-identity does the same and much else, at a cold start's expense. Who asks sends the request with a client of its
own.
"""

import os
from dataclasses import dataclass
from typing import Any

from shared import settings

VERSION = "2019-08-01"


class NoIdentity(Exception):
    """The platform gives no token for the app's managed identity."""


@dataclass(frozen=True, slots=True)
class Question:
    """A GET request whose answer, if it is 200, is for ``read()``."""

    url: str
    params: dict[str, str]
    headers: dict[str, str]


def ask_for(resource: str) -> Question:
    """What to ask for a token that ``resource`` takes.

    Raises:
        NoIdentity: this host has none.
    """
    endpoint, key = os.environ.get("IDENTITY_ENDPOINT"), os.environ.get("IDENTITY_HEADER")
    if not endpoint or not key:
        raise NoIdentity("this host has no managed identity")
    params = {"resource": resource, "api-version": VERSION}
    if client_id := settings.current().azure_client_id:
        params["client_id"] = client_id
    return Question(endpoint, params, {"X-IDENTITY-HEADER": key})


def read(answer: Any) -> tuple[str, float]:
    """The token in an answer's JSON, and when it ends, in seconds since 1970.

    Raises:
        ValueError, KeyError, TypeError: it is no such answer.
    """
    return str(answer["access_token"]), float(answer["expires_on"])
