"""The app as a list of routes: what OpenAPI documents, what 405 answers from, what the contract tests walk."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import azure.functions as func

from shared.errors import MethodNotAllowed, NotFound, Problem
from shared.http import Call, Endpoint

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
"""Every method the Functions host hands to a function."""

PARAMETER = re.compile(r"\{([^}:]+)(:[^}]+)?\}")
GUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


@dataclass(frozen=True, slots=True)
class Route:
    """One HTTP function: its name, methods, path (``/api/things/{thing_id}``) and what its endpoint declares."""

    name: str
    methods: tuple[str, ...]
    path: str
    pattern: re.Pattern[str]
    endpoint: Endpoint


class App(func.FunctionApp):
    """The stock app, except that it knows its routes and may be asked for its functions more than once."""

    _listed: list[func.Function] | None = None

    def get_functions(self) -> list[func.Function]:
        if self._listed is None:
            self._listed = super().get_functions()
        return self._listed

    @cached_property
    def routes(self) -> list[Route]:
        """Every declared route but the catch-all, in the order of the app."""
        return list(self._declared())

    def _declared(self) -> Iterator[Route]:
        for function in self.get_functions():
            trigger: Any = function.get_trigger()
            if trigger.get_binding_name() != "httpTrigger" or "{*" in trigger.route:
                continue
            handler: Any = function.get_user_function()
            yield Route(
                name=handler.__name__,
                methods=tuple(str(getattr(method, "value", method)) for method in trigger.methods),
                path="/" + PARAMETER.sub(r"{\1}", trigger.route),
                pattern=re.compile("/" + PARAMETER.sub(_segment, trigger.route) + "/?", re.IGNORECASE),
                endpoint=handler.endpoint,
            )

    def unmatched(self, call: Call) -> Problem:
        """What to answer a request that no route took: the path is unknown, or it has other methods."""
        allowed = {method for route in self.routes if route.pattern.fullmatch(call.path) for method in route.methods}
        return MethodNotAllowed(allowed=sorted(allowed)) if allowed else NotFound()


def _segment(parameter: re.Match[str]) -> str:
    return GUID if parameter[2] == ":guid" else "[^/]+"
