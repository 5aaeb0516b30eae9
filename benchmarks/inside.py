"""The app in this very process, for measurements that need to look inside."""

import json
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

import azure.functions as func

from benchmarks import servers
from benchmarks.servers import PASSWORD, Database, User

HEADERS = {"host": "127.0.0.1:7071", "user-agent": "benchmarks", "accept": "*/*", "client-ip": "127.0.0.1:50000"}

Function = Callable[[func.HttpRequest], Awaitable[func.HttpResponse]]


class App:
    """The functions by name, called as the worker calls them."""

    def __init__(self) -> None:
        from function_app import app  # its settings are read as it is imported

        self._functions = {
            function.get_function_name(): function.get_user_function() for function in app.get_functions()
        }

    def __getitem__(self, name: str) -> Function:
        function: Function = self._functions[name]
        return function

    async def sign_in(self, n: int) -> User:
        email = User.number(n).email
        body = json.dumps({"email": email, "password": PASSWORD}).encode()
        answer = await self["login"](request("POST", "/api/auth/login", body))
        tokens = json.loads(answer.get_body())
        return User(email, tokens["access_token"], tokens["refresh_token"])


def request(
    method: str, path: str, body: bytes = b"", access_token: str = "", names: Mapping[str, str] | None = None
) -> func.HttpRequest:
    """``names``: what stands in the path where its route has names, as the host tells it."""
    headers = {**HEADERS, "content-type": "application/json"} if body else dict(HEADERS)
    if access_token:
        headers["authorization"] = f"Bearer {access_token}"
    url = f"http://127.0.0.1:7071{path}"
    return func.HttpRequest(method=method, url=url, headers=headers, route_params=names, body=body)


@contextmanager
def app(url: str | None) -> Iterator[tuple[App, Database]]:
    """The app on a seeded database of the server at ``url``, or of an embedded one."""
    with servers.postgresql(url) as server, servers.database(server, "ours") as database:
        os.environ.update(database.settings)
        yield App(), database
