"""The functions behind Microsoft's own worker runtime: this plays the host's part, as an ASGI application.

The runtime indexes the app, decodes each request, runs the function and encodes what it returns, as in Azure; it is
entered where its host enters it once a message is unpacked. Left out are the host, which is .NET, and the wire between
the two.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import azure_functions_runtime as runtime
import uvicorn
from azure_functions_runtime.bindings.datumdef import Datum
from azure_functions_runtime.native_invocation import invocation_request_native

from local.project import ROOT
from local.routes import Entry, Table, Template


class Message(SimpleNamespace):
    """Stands for every message that the runtime makes or gets while it starts: it keeps what it is given."""

    undefined, out, inout = 0, 1, 2
    Failure, Success = 0, 1


class Protocol:
    def __getattr__(self, _message: str) -> type[Message]:
        return Message


class Worker:
    """An ASGI application of the functions in ``script``."""

    def __init__(self, script: str) -> None:
        self._directory, os.environ["PYTHON_SCRIPT_FILE_NAME"] = os.path.split(ROOT / script)
        sys.path.append(self._directory)
        self._table: Table[tuple[str, str]]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await self._load()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        body = b""
        while (message := await receive())["more_body"]:
            body += message["body"]
        (function, parameter), path = self._table.match(scope["method"], scope["path"]) or (("", ""), {})
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode()
        request = {
            "method": Datum(scope["method"], "string"),
            "url": Datum(f"http://{headers['host']}{scope['path']}{'?' if query else ''}{query}", "string"),
            "headers": _strings(headers | {"client-ip": scope["client"][0]}),
            "params": _strings(path),
            "query": _strings(dict(parse_qsl(query))),
            "body": Datum(body + message["body"], "bytes"),
        }
        done, answer, _, error, traceback = await invocation_request_native(
            str(uuid4()), function, [(parameter, Datum(request, "http"))], {}
        )
        if not done:
            raise RuntimeError(f"{error}\n{traceback}")
        status, content = int(answer.value["status_code"].value), answer.value["body"].value
        out = [(name.lower().encode(), value.value.encode()) for name, value in answer.value["headers"].items()]
        out.append((b"content-length", b"%d" % len(content)))
        await send({"type": "http.response.start", "status": status, "headers": out})
        await send({"type": "http.response.body", "body": content})

    async def _load(self) -> None:
        runtime.start_threadpool_executor()
        start = Message(worker_init_request=Message(capabilities={}, function_app_directory=self._directory))
        properties = {"host": "127.0.0.1", "protos": Protocol()}
        loaded = await runtime.worker_init_request(Message(request=start, properties=properties))
        if loaded.result.status != Message.Success:
            raise RuntimeError(loaded.result.exception.message)
        indexed = await runtime.functions_metadata_request(None)
        bindings = (
            (function, binding)
            for function in indexed.function_metadata_results
            for binding in map(json.loads, function.raw_bindings)
            if binding["type"] == "httpTrigger"
        )
        self._table = Table(
            Entry(f.name, frozenset(b["methods"]), Template(b["route"]), (f.function_id, b["name"]))
            for f, b in bindings
        )


def _strings(values: Mapping[str, str]) -> dict[str, Any]:
    return {name: Datum(value, "string") for name, value in values.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks.worker", description=__doc__)
    parser.add_argument("script", help="the functions' file, from the project's folder")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    # The worker in Azure runs on asyncio's own loop: uvloop would tell of another one.
    how: dict[str, Any] = {"loop": "asyncio", "http": "httptools", "access_log": False, "log_level": "warning"}
    uvicorn.run(Worker(options.script), port=options.port, **how)


if __name__ == "__main__":
    main()
