"""Every endpoint that takes a body, with a body it takes. ``test_bodies.py`` proves that none is missing."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.conftest import PASSWORD, Client
from tests.passkeys.authenticator import Authenticator

ANY_ID = UUID(int=7 << 76 | 2 << 62)
"""A well-formed id of nothing: what is wrong with a body is told before it is missed."""

AUTHENTICATOR = Authenticator(user_handle=bytes(16))
OPTIONS = {"challenge": "bWFkZS11cA", "user": {"id": "AAAAAAAAAAAAAAAAAAAAAA"}}


@dataclass(frozen=True)
class Endpoint:
    """``path`` as it is declared; ``valid`` is the least body it takes, None where it may be left out."""

    method: str
    path: str
    valid: dict[str, Any] | None
    for_members: bool = True

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def sound(self) -> dict[str, Any]:
        return self.valid or {}

    @property
    def _place(self) -> str:
        return self.path.format(
            application_id=ANY_ID,
            interview_id=ANY_ID,
            task_id=ANY_ID,
            event_id=ANY_ID,
            stage_id=ANY_ID,
            file_id=ANY_ID,
            company_id=ANY_ID,
            contact_id=ANY_ID,
            note_id=ANY_ID,
            user_id=ANY_ID,
            passkey_id=ANY_ID,
            tag_id=ANY_ID,
            view_id=ANY_ID,
            metric="exports",
            provider="google",
        )

    def send(self, client: Client, content: bytes, media_type: str = "application/json") -> httpx.Response:
        return client(
            self.method, self._place, content=content, headers={"Content-Type": media_type} if media_type else {}
        )

    def send_json(self, client: Client, body: object) -> httpx.Response:
        return client(self.method, self._place, json=body)


ENDPOINTS = [
    Endpoint("POST", "/api/auth/register", {"email": "who@example.com", "password": PASSWORD}, for_members=False),
    Endpoint("POST", "/api/auth/login", {"email": "who@example.com", "password": PASSWORD}, for_members=False),
    Endpoint("POST", "/api/auth/refresh", None, for_members=False),
    Endpoint("POST", "/api/auth/logout", None, for_members=False),
    Endpoint("POST", "/api/auth/logout-all", None),
    Endpoint("POST", "/api/auth/login/mfa", {"challenge": "jtc_", "code": "123456"}, for_members=False),
    Endpoint("POST", "/api/auth/reauthenticate", {"password": PASSWORD}),
    Endpoint("POST", "/api/auth/mfa/totp/confirm", {"code": "123456"}),
    Endpoint("POST", "/api/auth/passkeys/login/options", None, for_members=False),
    Endpoint("POST", "/api/auth/passkeys/login", {"credential": AUTHENTICATOR.get(OPTIONS)}, for_members=False),
    Endpoint("POST", "/api/auth/passkeys/register", {"credential": AUTHENTICATOR.create(OPTIONS)}),
    Endpoint("PATCH", "/api/auth/passkeys/{passkey_id}", None),
    Endpoint("POST", "/api/auth/verify-email", {"token": "x"}, for_members=False),
    Endpoint("POST", "/api/auth/forgot-password", {"email": "who@example.com"}, for_members=False),
    Endpoint("POST", "/api/auth/reset-password", {"token": "x", "password": PASSWORD}, for_members=False),
    Endpoint("POST", "/api/auth/change-password", {"current_password": PASSWORD, "new_password": PASSWORD}),
    Endpoint("POST", "/api/auth/change-email", {"email": "who@example.com"}),
    Endpoint("POST", "/api/tokens", {"name": "A script", "scopes": ["profile:read"]}),
    Endpoint("POST", "/api/auth/identities/{provider}/link", None),
    Endpoint("PATCH", "/api/profile", None),
    Endpoint("POST", "/api/applications", {"company": "Contoso", "position": "Engineer"}),
    Endpoint("PATCH", "/api/applications/{application_id}", None),
    Endpoint("POST", "/api/applications/{application_id}/move", {"status": "applied"}),
    Endpoint("POST", "/api/applications/from-url", {"url": "https://127.0.0.1:1/"}),
    Endpoint("POST", "/api/shares", {"name": "For my coach", "all": True}),
    Endpoint(
        "POST",
        "/api/applications/{application_id}/interviews",
        {"kind": "video", "starts_at": "2030-01-07T09:00:00Z"},
    ),
    Endpoint("PATCH", "/api/applications/{application_id}/interviews/{interview_id}", None),
    Endpoint("POST", "/api/tasks", {"title": "Call them"}),
    Endpoint("PATCH", "/api/tasks/{task_id}", None),
    Endpoint("POST", "/api/applications/{application_id}/tasks", {"title": "Call them"}),
    Endpoint("PATCH", "/api/applications/{application_id}/tasks/{task_id}", None),
    Endpoint("POST", "/api/stages", {"name": "Panel", "category": "in_process"}),
    Endpoint("PATCH", "/api/stages/{stage_id}", None),
    Endpoint("POST", "/api/applications/{application_id}/events", {"kind": "call"}),
    Endpoint("PATCH", "/api/applications/{application_id}/events/{event_id}", None),
    Endpoint("PUT", "/api/applications/{application_id}/position", None),
    Endpoint("POST", "/api/files/uploads", {"name": "cv.pdf", "size": 1, "sha256": "0" * 64}),
    Endpoint("PATCH", "/api/files/{file_id}", None),
    Endpoint("POST", "/api/applications/{application_id}/files", {"file_id": str(ANY_ID)}),
    Endpoint("POST", "/api/companies", {"name": "Contoso"}),
    Endpoint("PATCH", "/api/companies/{company_id}", None),
    Endpoint("POST", "/api/contacts", {"name": "Grace"}),
    Endpoint("PATCH", "/api/contacts/{contact_id}", None),
    Endpoint("POST", "/api/applications/{application_id}/contacts", {"name": "Grace"}),
    Endpoint("PATCH", "/api/applications/{application_id}/contacts/{contact_id}", None),
    Endpoint("POST", "/api/applications/{application_id}/notes", {"body": "They called."}),
    Endpoint("PATCH", "/api/applications/{application_id}/notes/{note_id}", None),
    Endpoint("POST", "/api/applications/bulk", {"ids": [str(ANY_ID)], "delete": True}),
    Endpoint("POST", "/api/applications/{application_id}/merge", {"duplicate_id": str(ANY_ID)}),
    Endpoint("POST", "/api/tags", {"name": "remote"}),
    Endpoint("PATCH", "/api/tags/{tag_id}", None),
    Endpoint("POST", "/api/saved-views", {"name": "Open", "query": "status=applied"}),
    Endpoint("PATCH", "/api/saved-views/{view_id}", None),
    Endpoint("POST", "/api/applications/import", {"content": "Company,Position\nContoso,Engineer"}),
    Endpoint("POST", "/api/quotas/{metric}/consume", None),
    Endpoint("POST", "/api/quotas/{metric}/reserve", {"key": "k"}),
    Endpoint("PATCH", "/api/admin/users/{user_id}", None),
    Endpoint("POST", "/api/admin/users/{user_id}/revoke-sessions", None),
    Endpoint("PUT", "/api/admin/users/{user_id}/quotas/{metric}", {"units": 7, "reason": "a good cause"}),
]

every_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
every_member_endpoint = pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if e.for_members], ids=str)


def properties(document: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    """The fields of an endpoint's body, as the OpenAPI document describes them."""
    body = document["paths"][endpoint.path][endpoint.method.lower()]["requestBody"]
    _, _, name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")
    found: dict[str, Any] = document["components"]["schemas"][name]["properties"]
    return found


def texts(document: dict[str, Any], endpoint: Endpoint) -> list[str]:
    """Those of its fields that take any text."""

    def is_text(schema: dict[str, Any]) -> bool:
        kinds = schema.get("anyOf", [schema])
        return any(kind.get("type") == "string" and not kind.keys() & {"enum", "const"} for kind in kinds)

    return [name for name, schema in properties(document, endpoint).items() if is_text(schema)]
