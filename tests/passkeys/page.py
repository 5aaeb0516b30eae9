"""A front end of one page, on a port of localhost, with the API behind the same origin."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx

PAGE = """\
<!doctype html>
<meta charset="utf-8">
<title>Passkeys</title>
<script>
"use strict";
let bearer = {};

async function call(method, path, body) {
  const headers = { "Content-Type": "application/json", ...bearer };
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const said = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw new Error(`${answer.status} ${said.code}`);
  return said;
}

const bear = (tokens) => { bearer = { Authorization: `Bearer ${tokens.access_token}` }; return tokens.user; };

const signUp = async (email, password) => bear(await call("POST", "/api/auth/register", { email, password }));

async function addPasskey(name) {
  const options = await call("POST", "/api/auth/passkeys/register/options");
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const credential = await navigator.credentials.create({ publicKey });
  return await call("POST", "/api/auth/passkeys/register", { credential: credential.toJSON(), name });
}

async function signIn() {
  const options = await call("POST", "/api/auth/passkeys/login/options", {});
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const credential = await navigator.credentials.get({ publicKey });
  return bear(await call("POST", "/api/auth/passkeys/login", { credential: credential.toJSON() }));
}

async function signOut() {
  await call("POST", "/api/auth/logout", {});
  bearer = {};
}
</script>
"""


@contextmanager
def served(port: int, api: str) -> Iterator[str]:
    """The page's address, while it is served; ``/api`` is passed on."""
    with httpx.Client(base_url=api, timeout=30) as client:

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.startswith("/api/"):
                    return self.do_POST()
                return self._answer(200, "text/html", PAGE.encode())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                kept = ("authorization", "content-type", "user-agent")
                headers = {name: value for name, value in self.headers.items() if name.lower() in kept}
                answer = client.request(self.command, self.path, content=body, headers=headers)
                self._answer(answer.status_code, answer.headers.get("content-type", ""), answer.content)

            def _answer(self, status: int, media_type: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", media_type)
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
            thread = Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            try:
                yield f"http://localhost:{port}/"
            finally:
                server.shutdown()
                thread.join()
