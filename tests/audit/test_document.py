"""docs/audit.md against the code: every event that is written stands in it, and no other."""

import re
from pathlib import Path

from local.project import ROOT

BUILT = {
    "account_": ("account_disabled", "account_enabled"),
    "refresh_token_": ("refresh_token_reused", "refresh_token_forged"),
}
"""Events whose names the SQL puts together."""


def test_every_event_that_is_written_is_documented_and_no_other() -> None:
    sources = [*Path(ROOT, "shared").glob("*/queries.py"), *Path(ROOT, "shared/migrations/versions").glob("*.py")]
    names = {name for source in sources for name in re.findall(r"\baudit\(\s*'([a-z_]+)'", source.read_text())}
    written = {event for name in names for event in BUILT.get(name, (name,))}
    assert len(written) > 40
    table = (ROOT / "docs" / "audit.md").read_text().partition("## What is written")[2].partition("\nA changed")[0]
    assert set(re.findall(r"`([a-z_]+)`", table)) == written
