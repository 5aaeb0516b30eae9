"""An app's functions, read from its declarations as the Functions host reads ``function.json``."""

import asyncio
import inspect
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import azure.functions as func

from local.deadlines import Deadlines
from local.project import ROOT

HTTP, TIMER = "httpTrigger", "timerTrigger"


@dataclass(frozen=True, slots=True)
class Function:
    """A function and how to call it."""

    name: str
    trigger: Mapping[str, Any]
    """The trigger's entry in ``function.json``: ``type``, ``name``, ``route`` or ``schedule``, and so on."""
    call: Callable[..., Any]
    parameter: str
    wants_context: bool
    is_async: bool
    timeout: float | None
    """Seconds it may take, as ``functionTimeout`` in host.json has it."""
    deadlines: Deadlines

    async def invoke(self, value: object) -> Any:
        """Call the function with its trigger's value as the worker does: by name, and in a thread if it is sync.

        Raises:
            TimeoutError: it took longer than it may. Whatever the function itself raises passes through.
        """
        if self.timeout is None:
            return await self._run(value)
        return await self.deadlines.within(self.timeout, self._run(value))

    async def _run(self, value: object) -> Any:
        arguments = {self.parameter: value}
        if self.wants_context:
            arguments["context"] = Context(self.name)
        if self.is_async:
            return await self.call(**arguments)
        return await asyncio.to_thread(self.call, **arguments)


class Context(func.Context):
    """What a function gets that asks for ``context``."""

    def __init__(self, function_name: str) -> None:
        self._function_name = function_name
        self._invocation_id = str(uuid.uuid4())

    @property
    def invocation_id(self) -> str:
        return self._invocation_id

    @property
    def function_name(self) -> str:
        return self._function_name

    @property
    def function_directory(self) -> str:
        return str(ROOT)

    @property
    def thread_local_storage(self) -> type[threading.local]:
        return threading.local

    @property
    def trace_context(self) -> Any:
        return None

    @property
    def retry_context(self) -> Any:
        return None


def read(
    declared: Iterable[func.Function], *, timeout: float | None, deadlines: Deadlines
) -> tuple[list[Function], list[str]]:
    """The functions this host can run, and for each other one a few words that say what it would need."""
    known, unknown = [], []
    for function in declared:
        name = str(function.get_function_name())
        bindings = function.get_bindings_dict()["bindings"]
        trigger = next(binding for binding in bindings if binding["type"].endswith("Trigger"))
        foreign = [b["type"] for b in bindings if b["type"] not in (HTTP, TIMER, "http")]
        if foreign:
            unknown.append(f"{name} ({', '.join(foreign)})")
            continue
        call = function.get_user_function()
        known.append(
            Function(
                name=name,
                trigger=trigger,
                call=call,
                parameter=trigger["name"],
                wants_context="context" in inspect.signature(call).parameters,
                is_async=inspect.iscoroutinefunction(call),
                timeout=timeout,
                deadlines=deadlines,
            )
        )
    return known, unknown
