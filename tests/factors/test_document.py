"""docs/factors.md: each claim has a test, and each test and setting it names exists."""

import re

from local.project import ROOT
from shared.settings import Settings
from tests.sessions.test_document import existing_tests

DOCUMENT = (ROOT / "docs" / "factors.md").read_text()


def test_every_test_the_document_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT))
    assert len(named) > 40
    assert named - existing_tests() == set()


def test_every_claim_of_the_document_names_a_test() -> None:
    rows = [line for line in DOCUMENT.splitlines() if line.startswith("| ") and not line.endswith("| test |")]
    assert len(rows) > 20
    assert [row for row in rows if not re.search(r"`test_\w+`[^|]*\|$", row)] == []


def test_every_setting_the_document_names_exists() -> None:
    named = {name for name in re.findall(r"`([A-Z_]+)`", DOCUMENT) if name.startswith("SECOND_FACTOR_")}
    assert len(named) == 3
    assert named <= {name.upper() for name in Settings.model_fields}
