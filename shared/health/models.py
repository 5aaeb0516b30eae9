"""How the app is."""

from typing import Literal

from shared.fields import Response


class Health(Response):
    status: Literal["ok"] = "ok"
    version: str


class Checks(Response):
    """``migrations`` is ``unknown`` while the database cannot be asked."""

    database: Literal["ok", "unreachable"]
    migrations: Literal["ok", "outdated", "unknown"]


class Readiness(Response):
    status: Literal["ok"] = "ok"
    checks: Checks
