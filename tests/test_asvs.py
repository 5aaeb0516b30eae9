"""docs/asvs.md, on what is met of OWASP ASVS 5.0.0, V6 to V9; and docs/security.md, on what has to be documented."""

import ast
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from local.project import ROOT
from shared.accounts import ProfileChanges
from shared.identities.models import Arrival
from shared.security import passwords
from shared.security.password_quality import CONTEXT
from shared.sessions import SignedIn
from shared.settings import Limit, Settings
from tests.test_documentation import Operation, operations, table

ASVS, SECURITY = ((ROOT / "docs" / name).read_text() for name in ("asvs.md", "security.md"))

LEVELS = {
    "6.1": "122",
    "6.2": "111111112222",
    "6.3": "11223333",
    "6.4": "112233",
    "6.5": "22222333",
    "6.6": "2223",
    "6.7": "33",
    "6.8": "2222",
    "7.1": "222",
    "7.2": "1111",
    "7.3": "22",
    "7.4": "11222",
    "7.5": "223",
    "7.6": "22",
    "8.1": "1233",
    "8.2": "1123",
    "8.3": "133",
    "8.4": "23",
    "9.1": "111",
    "9.2": "1222",
}
"""The sections of the four chapters in ASVS 5.0.0, and the level of each of their requirements."""

MUST_BE_DOCUMENTED = ("6.1.", "7.1.", "8.1.")
"""Sections that ask for documentation. Only there a document shows anything."""

DOCUMENTED_AND_TESTED = ("6.8.4", "7.6.1")
"""Requirements that something is as it is documented: beside tests, a document may stand there."""

Row = tuple[str, str, str, str, str, str]
"""A requirement, its level, what it asks, the state, how or why not, and what shows it."""


def requirements() -> list[Row]:
    rows = [tuple(cells) for chapter in re.split("^## ", ASVS, flags=re.MULTILINE)[1:] for cells in table(chapter)]
    assert {len(cells) for cells in rows} == {6}
    return rows  # type: ignore[return-value]


def shown_by_tests(row: Row) -> list[str]:
    return re.findall(r"`([\w/.]*(?:::)?test_\w+)`", row[5])


def shown_by_sections(row: Row) -> list[tuple[str, str, str]]:
    """The text, the file and the anchor of each link."""
    return re.findall(r"\[([^\]]+)\]\(([\w.-]+)#([\w-]+)\)", row[5])


def anchor(heading: str) -> str:
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def section(heading: str) -> str:
    """What stands in docs/security.md under a heading."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", SECURITY, re.DOTALL | re.MULTILINE)
    assert found, f"docs/security.md has no section {heading!r}"
    return found[1]


@pytest.fixture(scope="module")
def existing() -> Counter[str]:
    """Every test there is, by its name and by its file and name; and how many tests have that name."""

    def names() -> Iterator[str]:
        for file in sorted((ROOT / "tests").rglob("test_*.py")):
            for node in ast.parse(file.read_text()).body:
                if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                    yield node.name
                    yield f"{file.relative_to(ROOT / 'tests').as_posix()}::{node.name}"

    return Counter(names())


# ---------------------------------------------------------------- docs/asvs.md


def test_every_requirement_of_the_four_chapters_has_one_row_in_its_order() -> None:
    expected = [
        (f"{section}.{number}", level)
        for section, levels in LEVELS.items()
        for number, level in enumerate(levels, start=1)
    ]
    assert [(row[0], row[1]) for row in requirements()] == expected


def test_every_row_says_what_is_asked_whether_it_is_met_and_how() -> None:
    for identifier, _, asked, state, how, _ in requirements():
        assert state in ("met", "in part", "not met", "not ours"), identifier
        assert len(asked) > 10, identifier
        assert len(how) > (20 if state != "met" else 2), identifier


def test_every_test_a_requirement_names_exists_and_could_be_no_other(existing: Counter[str]) -> None:
    named = {test for row in requirements() for test in shown_by_tests(row)}
    assert len(named) > 100
    assert {test: existing[test] for test in named if existing[test] != 1} == {}


def test_what_is_met_is_shown_and_what_is_not_is_not() -> None:
    for row in requirements():
        identifier, _, _, state, _, shown_by = row
        tests, sections = shown_by_tests(row), shown_by_sections(row)
        rest = re.sub(r"`[\w/.:]*test_\w+`|\[[^\]]+\]\([^)]+\)", "", shown_by).strip()
        assert rest == ("" if state in ("met", "in part") else "-"), f"{identifier}: {rest!r} names nothing"
        if identifier.startswith(MUST_BE_DOCUMENTED):
            assert sections, identifier
        elif state in ("met", "in part"):
            assert tests, identifier
            assert not sections or identifier in DOCUMENTED_AND_TESTED, f"{identifier}: a document shows nothing there"


def test_every_section_that_is_named_exists() -> None:
    named = {link for row in requirements() for link in shown_by_sections(row)}
    assert len(named) >= 6
    for text, file, target in named:
        headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / file).read_text(), re.MULTILINE)
        assert text in headings
        assert anchor(text) == target


def test_the_numbers_at_the_head_are_those_of_the_table() -> None:
    states = Counter(row[3] for row in requirements())
    head = re.search(
        r"Of (\d+)\s+requirements (\d+) are met, (\d+) in part, (\d+) not met, and (\d+) are not ours\.", ASVS
    )
    assert head
    counted = [states[state] for state in ("met", "in part", "not met", "not ours")]
    assert [int(number) for number in head.groups()] == [sum(counted), *counted]


# ---------------------------------------------------------------- docs/security.md


def test_every_limit_is_documented_with_its_default() -> None:
    documented = {setting: default for setting, default, _ in table(section("Limits"))}
    limits = {name.upper(): field.default for name, field in Settings.model_fields.items()}
    assert documented == {
        f"`{name}`": f"`{limit.hits}/{limit.seconds}`" for name, limit in limits.items() if isinstance(limit, Limit)
    }


def test_the_words_that_are_no_password_are_documented() -> None:
    text = section("Words that are no password")
    (line,) = re.findall(r"^(?:`[a-z]+` ?)+$", text, re.MULTILINE)
    assert re.findall("[a-z]+", line) == list(CONTEXT)
    least = Settings.model_fields["password_min_length"].default
    assert f"A password is {least} to {passwords.MAX_LENGTH} code points" in text


def test_the_lifetimes_of_sessions_are_documented() -> None:
    text = section("Sessions")
    for name in ("session_idle_days", "session_absolute_days"):
        assert f"`{name.upper()}`, {Settings.model_fields[name].default}." in text
    assert f"An access token lasts {Settings.model_fields['access_token_seconds'].default // 60} minutes" in text


def test_every_way_to_sign_in_is_documented(environment: dict[str, str]) -> None:
    """Whatever route could answer with the tokens of a session is one."""
    from function_app import app

    ways: list[Operation] = [
        (method, route.path)
        for route in app.routes
        for method in route.methods
        if {SignedIn, Arrival} & {answer.kind for answer in route.endpoint.answers}
    ]
    assert len(ways) >= 6
    documented = [way for _, cell, _ in table(section("Ways to sign in")) for way in operations(cell)]
    assert sorted(documented) == sorted(ways)


def test_every_rule_about_callers_is_documented(environment: dict[str, str]) -> None:
    from function_app import app

    documented = " ".join(cell for cell, _ in table(section("Who may do what").partition("**Rows**")[0]))
    rules = {route.endpoint.access for route in app.routes}
    for access in rules:
        name = "scope" if access.scope else "member_or_token" if access.takes_tokens else None
        name = name or ("role" if access.role else "fresh" if access.is_fresh else None)
        assert f"`{name or ('member' if access.needs_caller else 'anyone')}" in documented


def test_the_fields_that_an_owner_may_write_are_documented() -> None:
    fields = {row[0]: row for row in table(section("Who may do what").partition("**Fields**")[2])}
    assert re.findall(r"`(\w+)`", fields["profile"][2]) == list(ProfileChanges.model_fields)
    assert len(fields) >= 6
