"""docs/tokens.md: each claim has a test, the scopes are those of the app, and scanners can do as it says."""

import re
from typing import Any

from local.project import ROOT
from shared.security import personal_access_tokens
from shared.tokens import SCOPES
from shared.tokens.models import granted
from tests.sessions.test_document import existing_tests

DOCUMENT = (ROOT / "docs" / "tokens.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    part = DOCUMENT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_test_the_document_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT))
    assert len(named) > 20
    assert named <= existing_tests()


def test_every_claim_of_the_document_names_a_test() -> None:
    claims = rows("What always holds") + rows("What ends a token")
    assert len(claims) == 16
    assert [cells for cells in claims if not re.search(r"`test_\w+`", cells[-1])] == []


def test_the_document_has_every_scope_and_what_it_includes() -> None:
    expected = [
        [f"`{scope}`", words, ", ".join(f"`{included}`" for included in granted([scope]) if included != scope)]
        for scope, words in SCOPES.items()
    ]
    assert rows("Scopes") == expected


def test_a_scanner_that_does_as_the_document_says_knows_tokens_from_lookalikes() -> None:
    (pattern,) = re.findall(r"Pattern: `([^`]+)`", DOCUMENT)
    (code,) = re.findall(r"^```python\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
    scanner: dict[str, Any] = {}
    exec(compile(code, "tokens.md", "exec"), scanner)
    token = personal_access_tokens.issue()
    found = re.findall(pattern, f"key = '{token}'; other = 'jtp_{'a' * 36}'; jtp_short")
    assert [(one == token, scanner["is_token"](one)) for one in found] == [(True, True), (False, False)]
