"""Every declared route keeps the rules of the house; whoever adds one meets them here."""

import re
from typing import Any
from uuid import UUID

import azure.functions as func
import pytest

from shared import documents, fields, http, identities, sessions
from shared.access import Access
from shared.routes import App, Route
from tests.http.conftest import concrete

VERBS_ALONE = {"login", "logout", "reauthenticate", "refresh", "register"}
"""What everybody calls these."""


def functions(app: App) -> dict[str, Any]:
    """Every function of the app, by its name."""
    return {str(function.get_function_name()): function for function in app.get_functions()}


def triggers(app: App, kind: str) -> dict[str, Any]:
    """The triggers of this kind, by the names of their functions."""
    found = {name: function.get_trigger() for name, function in functions(app).items()}
    return {name: trigger for name, trigger in found.items() if trigger.get_binding_name() == kind}


def test_every_route_says_who_may_call_it(routes: list[Route]) -> None:
    assert len(routes) >= 25
    for route in routes:
        assert isinstance(route.endpoint.access, Access), route.name


def test_every_member_route_asks_for_its_caller(routes: list[Route]) -> None:
    for route in routes:
        wants = "caller" in route.endpoint.takes
        assert wants == route.endpoint.access.needs_caller, f"{route.name} would not ask the database who calls"


def test_names_are_verb_and_noun_and_used_once(app: App) -> None:
    names = functions(app)
    assert len(app.get_functions()) == len({name.lower() for name in names})
    for name in set(names) - VERBS_ALONE:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", name), name


def test_summaries_are_short_and_tell_to_do_something(routes: list[Route]) -> None:
    for route in routes:
        summary = route.endpoint.summary
        first, *_ = summary.split()
        assert 10 < len(summary) < 70, route.name
        assert summary.endswith("."), route.name
        assert not summary.removesuffix(".").endswith("."), route.name
        assert re.fullmatch("[A-Z][a-z]+", first), route.name
        assert not first.endswith(("s", "ing", "ed")), f"{route.name}: {first!r} is no imperative"


def test_no_two_summaries_are_the_same(routes: list[Route]) -> None:
    assert len({route.endpoint.summary for route in routes}) == len(routes)


def test_paths_are_plural_nouns_in_lower_case(routes: list[Route]) -> None:
    for route in routes:
        for word in re.sub(r"\{[^}]+\}", "", route.path).split("/"):
            assert re.fullmatch(r"[a-z.-]*", word), route.path


def test_what_a_path_names_is_what_its_handler_takes(routes: list[Route], app: App) -> None:
    templates = {name: trigger.route for name, trigger in triggers(app, "httpTrigger").items()}
    for route in routes:
        named = dict.fromkeys(re.findall(r"\{([^}:]+)(?::guid)?\}", templates[route.name]))
        assert list(route.endpoint.path) == list(named), route.name
        for name, kind in route.endpoint.path.items():
            assert (f"{{{name}:guid}}" in templates[route.name]) == (kind is UUID), route.name


def test_every_route_answers_with_something_we_can_write(routes: list[Route]) -> None:
    for route in routes:
        texts = (http.Csv, http.Json, http.Html, http.Zip, fields.PlainText, fields.WebPage, fields.Svg, http.Calendar)
        plain = (None, type(None), *texts, sessions.SignedOut, fields.Accepted, fields.Contents)
        away = (identities.Departure, identities.Arrival, fields.Elsewhere)
        for answer in route.endpoint.answers:
            assert answer.model is not None or answer.kind in (*plain, *away), f"{route.name} returns {answer.kind}"
            if route.endpoint.location:
                assert (answer.kind, answer.status) == (documents.Document, 201), route.name


def test_what_creates_may_be_sent_again(routes: list[Route]) -> None:
    for route in routes:
        if route.methods == ("POST",) and route.endpoint.location:
            assert "retry" in route.endpoint.takes, route.name


def test_what_is_edited_by_version_may_say_which(routes: list[Route]) -> None:
    for route in routes:
        versioned = any(answer.model and "version" in answer.model.model_fields for answer in route.endpoint.answers)
        if set(route.methods) & {"PATCH", "PUT"} and versioned:
            assert "versions" in route.endpoint.takes, route.name


# ---------------------------------------------------------------- the order in which the host looks


def in_host_order(app: App) -> list[str]:
    """The Functions host sorts functions by name, ordinally and without regard to case."""
    return sorted(triggers(app, "httpTrigger"), key=str.upper)


def test_the_catch_all_comes_last(app: App) -> None:
    catching = [name for name, trigger in triggers(app, "httpTrigger").items() if "{*" in trigger.route]
    assert catching == ["zz_unmatched"] == in_host_order(app)[-1:]


def test_the_catch_all_takes_every_method_the_host_knows(app: App) -> None:
    trigger = triggers(app, "httpTrigger")["zz_unmatched"]
    methods = {str(getattr(method, "value", method)) for method in trigger.methods}
    assert methods == {method.value for method in func.HttpMethod}


@pytest.mark.parametrize("word", ["exports", "reservations", "sessions", "00000000-0000-7000-8000-000000000000"])
def test_no_route_takes_what_is_meant_for_another(app: App, routes: list[Route], word: str) -> None:
    by_name = {route.name: route for route in routes}
    ordered = [by_name[name] for name in in_host_order(app) if name in by_name]
    for route in routes:
        path = concrete(route)
        if str in route.endpoint.path.values():
            path = path.replace("exports", word)
        for method in route.methods:
            taken_by = next(other for other in ordered if method in other.methods and other.pattern.fullmatch(path))
            assert taken_by is route, f"{method} {path} would go to {taken_by.name}"


def test_every_function_is_a_route_a_timer_or_the_catch_all(app: App, routes: list[Route]) -> None:
    timers = set(triggers(app, "timerTrigger"))
    assert timers == {
        "purge_expired_sessions",
        "deliver_mail",
        "erase_deleted_accounts",
        "send_reminders",
        "remove_files",
    }
    assert set(functions(app)) == {route.name for route in routes} | timers | {"zz_unmatched"}


def test_the_app_may_be_asked_for_its_functions_twice(app: App) -> None:
    assert app.get_functions() == app.get_functions()
