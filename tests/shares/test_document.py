"""docs/shares.md and docs/capture.md: each claim has a test."""

import re

import pytest

from local.project import ROOT
from tests.sessions.test_document import existing_tests


@pytest.mark.parametrize(("document", "claims"), [("shares.md", 11), ("capture.md", 12)])
def test_every_claim_names_tests_that_exist(document: str, claims: int) -> None:
    text = (ROOT / "docs" / document).read_text()
    assert set(re.findall(r"`(test_\w+)`", text)) <= existing_tests()
    assert len(re.findall(r"^\|.*`test_\w+`[^|]*\|$", text, re.MULTILINE)) == claims
