"""A browser that goes to a provider and comes back."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from tests.conftest import Client
from tests.identities.provider import CALLBACK, Account, Provider

COOKIE = "__Host-jobtrail_oauth"
REFRESH = "__Host-jobtrail_refresh"


class Browser:
    """Keeps cookies as a browser does, and sends them over http too, as the tests' app has no TLS."""

    def __init__(self, client: Client, provider: Provider) -> None:
        self.client = client
        self.provider = provider
        self.cookies: dict[str, str] = {}

    def start(self, name: str, **query: str) -> httpx.Response:
        return self.get(f"/api/auth/oauth/{name}/start", params=query)

    def consent(self, departure: httpx.Response, account: Account) -> str:
        """Sign in at the provider: gives the path and query that the browser is sent back to."""
        location = departure.headers.get("location") or departure.json()["authorization_url"]
        return self.provider.authorize(location, account).removeprefix(CALLBACK)

    def sign_in(self, name: str, account: Account, **query: str) -> httpx.Response:
        departure = self.start(name, **query)
        assert departure.status_code == 302, departure.text
        return self.get(self.consent(departure, account))

    def link(self, name: str, account: Account, headers: dict[str, str], **body: str) -> httpx.Response:
        begun = self.post(f"/api/auth/identities/{name}/link", body, headers=headers)
        assert begun.status_code == 200, begun.text
        return self.get(self.consent(begun, account))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self._call("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return self._call("POST", path, json=json, **options)

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = dict(options.pop("headers", None) or {})
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.client(method, path, headers=headers, **options)
        for line in answer.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        return answer


def fragment(answer: httpx.Response) -> dict[str, str]:
    """What a page is told after the ``#`` of the address that the browser is sent back to."""
    assert answer.status_code == 302, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["location"]).fragment, strict_parsing=True))


def code(answer: httpx.Response) -> tuple[int, str]:
    """The status of a refusal, and what it is."""
    return answer.status_code, str(answer.json()["code"])
