"""How the tests read a refusal."""

import httpx


def fault(response: httpx.Response) -> tuple[int, str, str]:
    """Status and code of a refusal, and the first field at fault."""
    problem = response.json()
    faults = problem.get("errors") or [{"field": ""}]
    return response.status_code, problem.get("code", ""), faults[0]["field"]


def invalid(field: str) -> tuple[int, str, str]:
    """What ``fault()`` reads when validation stops at this field."""
    return 422, "validation_failed", field
