"""Every answer a test gets is held against the OpenAPI document: what is not documented fails the test that saw it."""

import re
from functools import cache
from typing import Any

import httpx
from jsonschema import Draft202012Validator, FormatChecker

from function_app import app
from shared import openapi


class Contract:
    """The document, ready to judge answers."""

    def __init__(self) -> None:
        self.document = openapi.describe(app.routes)
        self._paths = [
            (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)), operations)
            for path, operations in sorted(self.document["paths"].items(), key=lambda item: "{" in item[0])
        ]

    def check(self, response: httpx.Response) -> None:
        """Fail unless the answer is one that the document promises."""
        response.read()
        request, path = response.request, response.request.url.path
        seen = f"{request.method} {path} -> {response.status_code} {response.text[:500]}"
        assert response.headers["x-request-id"], seen
        if response.status_code == 401:
            assert response.headers["www-authenticate"].startswith("Bearer"), seen
        if response.headers.get("content-type", "").startswith("application/problem+json"):
            problem = response.json()
            assert problem["request_id"] == response.headers["x-request-id"], seen
            assert problem["status"] == response.status_code, seen
        operation = self._operation(request.method, path)
        if operation is None:  # nothing of ours: answered as a problem all the same
            assert response.status_code in (404, 405), seen
            return
        documented = operation["responses"].get(str(response.status_code))
        assert documented, f"undocumented status: {seen}"
        content = documented.get("content")
        if content is None:
            assert not response.content, seen
            return
        media_type = response.headers["content-type"].partition(";")[0]
        assert media_type in content, f"undocumented media type: {seen}"
        if media_type.endswith("json"):
            for fault in self._validator(operation["operationId"], response.status_code, media_type).iter_errors(
                response.json()
            ):
                raise AssertionError(f"{fault.json_path}: {fault.message}: {seen}")

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        for pattern, operations in self._paths:
            if pattern.fullmatch(path):
                found: dict[str, Any] | None = operations.get(method.lower())
                return found
        return None

    @cache  # noqa: B019 - there is one contract, and it lives as long as the tests
    def _validator(self, operation_id: str, status: int, media_type: str) -> Draft202012Validator:
        operations = (o for path in self.document["paths"].values() for o in path.values())
        operation = next(o for o in operations if o["operationId"] == operation_id)
        schema = operation["responses"][str(status)]["content"][media_type]["schema"]
        whole = {**schema, "components": self.document["components"]}
        return Draft202012Validator(whole, format_checker=FormatChecker())
