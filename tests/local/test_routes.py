import uuid
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.routes import Entry, Table, Template, TemplateError, decode_path

GUID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"


def table(*routes: tuple[str, str] | tuple[str, str, Iterable[str]]) -> Table[str]:
    return Table(
        Entry(name, frozenset(methods[0]) if methods else None, Template(template), name)
        for name, template, *methods in routes
    )


def match(template: str, path: str) -> dict[str, str] | None:
    found = table(("only", template)).match("GET", decode_path(path.encode()))
    return None if found is None else dict(found[1])


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("", "/", {}),
        ("health", "/health", {}),
        ("health", "/HEALTH", {}),
        ("health", "/health/", {}),
        ("health", "/healthy", None),
        ("health", "/health/ready", None),
        ("health", "/", None),
        ("a/b", "/a//b", None),
        ("a/b", "/%61/b", {}),
        ("Users/{id}", "/users/7", {"id": "7"}),
        ("users/{id}", "/users/AbC", {"id": "AbC"}),
        ("users/{id}", "/users/", None),
        ("users/{id}", "/users", None),
        ("users/{id}", "/users/7/notes", None),
        ("users/{id}/notes/{note}", "/users/7/NOTES/8", {"id": "7", "note": "8"}),
        ("users/{id?}", "/users/7", {"id": "7"}),
        ("users/{id?}", "/users", {}),
        ("users/{id?}", "/users/", {}),
        ("users/{id=me}", "/users", {"id": "me"}),
        ("users/{id=me}", "/users/7", {"id": "7"}),
        ("{lang=en}/{page=home}", "/", {"lang": "en", "page": "home"}),
        ("{lang=en}/{page=home}", "/de", {"lang": "de", "page": "home"}),
        ("{lang=en}/{page?}", "/de/news", {"lang": "de", "page": "news"}),
        ("{a=1}/end", "/end", None),
        ("{*path}", "/", {}),
        ("{*path}", "/a/b", {"path": "a/b"}),
        ("files/{*path}", "/files", {}),
        ("files/{*path}", "/files/a/b.txt", {"path": "a/b.txt"}),
        ("files/{**path}", "/files/a/b.txt", {"path": "a/b.txt"}),
        ("files/{*path}", "/file", None),
        ("calendar/{token}.ics", "/calendar/abc.ICS", {"token": "abc"}),
        ("calendar/{token}.ics", "/calendar/abc", None),
        ("calendar/{token}.ics", "/calendar/.ics", None),
        ("{name}.{extension}", "/archive.tar.gz", {"name": "archive.tar", "extension": "gz"}),
        ("v{major:int}.{minor:int}", "/v3.11", {"major": "3", "minor": "11"}),
        ("{{literal}}/{x}", "/{literal}/1", {"x": "1"}),
        ("{x}", "/a%20b", {"x": "a b"}),
        ("{x}", "/a+b", {"x": "a+b"}),
        ("{x}", "/a%2Fb", {"x": "a/b"}),
        ("{x}/{y}", "/a%2Fb/c", {"x": "a/b", "y": "c"}),
        ("{*rest}", "/a%2Fb/c", {"rest": "a/b/c"}),
        ("{x}", "/%E2%82%AC", {"x": "€"}),
        ("{x}", "/%FF", {"x": "�"}),
        ("{x}", "/%zz%4", {"x": "%zz%4"}),
        ("{x}", "/100%", {"x": "100%"}),
        ("{x}", "/%00%0a", {"x": "\0\n"}),
    ],
)
def test_a_template_matches_as_aspnet_core_does(template: str, path: str, values: dict[str, str] | None) -> None:
    assert match(template, path) == values


@pytest.mark.parametrize(
    ("constraint", "accepted", "refused"),
    [
        ("int", "0 7 -7 +7 2147483647 -2147483648", "x 1.5 2147483648 -2147483649 ٣ 0x1"),
        ("long", "2147483648 -9223372036854775808", "9223372036854775808 x"),
        ("bool", "true FALSE", "yes 1"),
        ("datetime", "2026-11-20 2026-11-20T07:30:00Z", "yesterday 2026-13-01"),
        ("decimal", "1 -1.5 .5 49.", "x 1e3 ."),
        ("double", "1 1e3 -1.5E-7", "x e3"),
        ("float", "1 1e3", "x"),
        (
            "guid",
            f"{GUID} {GUID.upper()} {GUID.replace('-', '')} {{{GUID}}} ({GUID})",
            f"x {GUID[:-1]} {GUID[:-1]}g {{{GUID} {GUID}}} {{{GUID})",
        ),
        ("alpha", "abc XYZ", "a1 é a-b"),
        ("minlength(3)", "abc abcd", "ab"),
        ("maxlength(3)", "a abc", "abcd"),
        ("length(3)", "abc", "ab abcd"),
        ("length(2,3)", "ab abc", "a abcd"),
        ("min(18)", "18 99", "17 x"),
        ("max(120)", "120 -5", "121 x"),
        ("range(18,120)", "18 120", "17 121 x"),
        ("int:min(1):max(9)", "1 9", "0 10 x"),
        ("required", "x", ""),
        (r"regex(^\d{{3}}-\d{{2}}$)", "123-45", "123-4 1234-56"),
        ("regex(^(draft|sent)$)", "draft SENT", "drafted"),
        ("regex(b)", "abc", "acd"),
    ],
)
def test_a_constraint_decides_whether_a_route_matches(constraint: str, accepted: str, refused: str) -> None:
    for value in accepted.split(" "):
        assert match(f"x/{{v:{constraint}}}", f"/x/{value}") == {"v": value}, value
    for value in refused.split(" "):
        assert match(f"x/{{v:{constraint}}}", f"/x/{value}") is None, value


def test_a_constraint_holds_for_an_optional_parameter_that_is_present() -> None:
    assert match("x/{v:int?}", "/x") == {}
    assert match("x/{v:int?}", "/x/7") == {"v": "7"}
    assert match("x/{v:int?}", "/x/y") is None
    assert match("x/{v:int=5}", "/x") == {"v": "5"}


def test_a_number_of_thousands_of_digits_is_only_a_large_number() -> None:
    assert match("x/{v:int}", f"/x/{'0' * 5000}7") == {"v": f"{'0' * 5000}7"}
    for constraint in ("int", "long", "min(1)", "max(5)", "range(1,5)", "decimal", "double"):
        found = match(f"x/{{v:{constraint}}}", f"/x/{'9' * 5000}")
        assert (found is not None) == (constraint in ("decimal", "double"))


def test_a_constraint_sees_the_decoded_value() -> None:
    assert match("{v:length(3)}", "/a%2Fb") == {"v": "a/b"}


@pytest.mark.parametrize(
    "template",
    [
        "/leading",
        "~/leading",
        "{v:colour}",
        "{v:length(x)}",
        "{v:regex([)}",
        "{v",
        "v}",
        "{}",
        "{a}/{A}",
        "{*rest}/more",
        "{a?}/more",
        "{a=1?}",
        "pre{a?}",
        "pre{*a}",
        "a//b",
    ],
)
def test_a_template_the_host_would_refuse_is_refused_with_its_text(template: str) -> None:
    with pytest.raises(TemplateError) as refusal:
        Template(template)
    assert repr(template) in str(refusal.value)


def test_an_unknown_constraint_is_named() -> None:
    with pytest.raises(TemplateError, match="unknown constraint 'colour'"):
        Template("{v:colour}")


def test_the_prefix_stands_before_every_route() -> None:
    routes = Table([Entry("only", None, Template("health", prefix="api"), "only")])
    assert routes.match("GET", "/api/health") is not None
    assert routes.match("GET", "/health") is None


def test_functions_are_tried_in_the_order_of_their_names_and_not_by_precedence() -> None:
    routes = table(("b_literal", "users/me"), ("a_parameter", "users/{id}"))
    assert routes.match("GET", "/users/me") == ("a_parameter", {"id": "me"})


def test_the_order_of_names_ignores_case() -> None:
    routes = table(("Beta", "x"), ("alpha", "{any}"))
    assert routes.match("GET", "/x") == ("alpha", {"any": "x"})
    assert routes.match("GET", "/X") == ("alpha", {"any": "X"})


def test_a_function_without_the_method_does_not_match_and_the_next_is_tried() -> None:
    routes = table(("a", "x", ["GET"]), ("b", "x", ["POST"]), ("z", "{*path}"))
    assert routes.match("GET", "/x") == ("a", {})
    assert routes.match("POST", "/x") == ("b", {})
    assert routes.match("DELETE", "/x") == ("z", {"path": "x"})
    assert routes.match("PROPFIND", "/X/") == ("z", {"path": "X"})


def test_head_is_not_implied_by_get() -> None:
    assert table(("a", "x", ["GET"])).match("HEAD", "/x") is None


def test_a_failed_constraint_leaves_the_path_to_the_next_function() -> None:
    routes = table(("a", "x/{id:int}"), ("b", "x/{name}"))
    assert routes.match("GET", "/x/7") == ("a", {"id": "7"})
    assert routes.match("GET", "/x/seven") == ("b", {"name": "seven"})


def test_a_catch_all_that_sorts_first_takes_everything() -> None:
    routes = table(("a", "{*path}", ["GET"]), ("b", "x"))
    assert routes.match("GET", "/x") == ("a", {"path": "x"})
    assert routes.match("POST", "/x") == ("b", {})


def test_a_word_that_is_literal_in_one_route_is_a_value_in_another() -> None:
    routes = table(("a", "users/{id}"), ("b", "teams/{id}/users"))
    assert routes.match("GET", "/users/teams") == ("a", {"id": "teams"})
    assert routes.match("GET", "/teams/users/users") == ("b", {"id": "users"})


def test_many_kinds_of_paths_do_not_fill_the_memory() -> None:
    routes = table(*((f"f{n}", f"{{a}}/w{n}") for n in range(100)), ("z", "{*path}"))
    for first in range(100):
        for second in range(100):
            found = routes.match("GET", f"/w{first}/w{second}")
            assert found is not None
            assert found[0] == f"f{second}"
    assert len(routes._candidates) <= 4096


SEGMENTS = st.text(st.characters(codec="utf-8", exclude_characters="/%"), min_size=1, max_size=8)


@given(st.lists(SEGMENTS, min_size=1, max_size=4), st.sampled_from(["GET", "POST", "HEAD"]))
def test_the_table_finds_what_trying_each_route_in_turn_would_find(segments: list[str], method: str) -> None:
    routes = [
        ("a", "{x}/{y:int}", ["GET"]),
        ("b", "a/{*rest}", ["POST"]),
        ("c", "{x}/a", ["GET", "POST"]),
        ("d", "A/b", ["GET"]),
        ("e", "{x}", ["HEAD"]),
    ]
    path = "/" + "/".join(segments)
    expected = next(
        (
            (name, values)
            for name, template, methods in routes
            if method in methods and (values := Template(template).match(path)) is not None
        ),
        None,
    )
    assert table(*reversed(routes)).match(method, path) == expected


@given(st.binary(max_size=40))
def test_no_path_can_make_matching_fail(raw: bytes) -> None:
    routes = table(("a", "x/{id:guid}"), ("b", "{v:int}/{w?}"), ("z", "{*path}"))
    assert routes.match("GET", decode_path(b"/" + raw)) is not None


def test_ids_are_matched_whole() -> None:
    identifier = str(uuid.uuid4())
    assert match("api/users/{id:guid}", f"/api/users/{identifier}") == {"id": identifier}
    assert match("api/users/{id:guid}", f"/api/users/{identifier}%0A") is None
