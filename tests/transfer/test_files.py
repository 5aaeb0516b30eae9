"""Files as other trackers and spreadsheets write them, each with what it says."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Person
from tests.transfer.conftest import applications, bring_in, faults

FILES = Path(__file__).parent / "files"
EUR = {"salary_currency": "EUR"}

EXPECTED: dict[str, tuple[dict[str, Any], list[dict[str, Any]], dict[int, list[tuple[str, str]]]]] = {
    "huntr.csv": (
        {"encoding": "utf-8", "delimiter": "comma"},
        [
            {"company": "Contoso", "position": "Backend Engineer", "status": "saved", "applied_on": None,
             "stage_since": "2026-10-28T12:00:00+00:00", "url": "https://boards.greenhouse.io/contoso/jobs/1?gh_jid=1"},
            {"company": "Initech, Inc.", "status": "interview", "applied_on": "2026-10-02", "salary_min": None,
             "notes": 'Salary: $120,000 - $140,000\nDescription: Said "hello" to\nthe team'},
            {"company": "Globex", "status": "rejected", "salary_min": 6_000_000, "salary_currency": "GBP",
             "furthest_category": "applied", "stage_since": "2026-09-03T12:00:00+00:00"},
        ],
        {},
    ),
    "teal.csv": (
        {},
        [
            {"position": "Product Manager", "status": "saved", "deadline": "2026-11-30", "notes": "Excitement: 4"},
            {"position": "Product Lead", "status": "offer", "applied_on": "2026-10-03",
             "notes": "Max. Salary: $150,000\nFollow Up: 10/13/2026\nExcitement: 5"},
            {"position": "Platform Lead", "status": "ghosted", "applied_on": "2026-10-06", "notes": None},
        ],
        {},
    ),
    "notion.csv": (
        {"encoding": "utf-8"},
        [
            {"status": "screening", "applied_on": "2026-11-03", "tags": ["Figma", "Remote"], "salary_min": 8_000_000,
             "salary_max": 10_000_000, "salary_currency": "USD", "url": "https://contoso.com/jobs/9",
             "notes": "📌 Next Step: Send portfolio"},
            {"status": "ghosted", "applied_on": "2026-10-01", "url": None, "notes": None},
        ],
        {},
    ),
    "excel-german.csv": (
        {"encoding": "windows-1252", "delimiter": "semicolon"},
        [
            {"company": "Müller & Söhne GmbH", "status": "applied", "applied_on": "2026-11-03", "location": "Köln",
             "salary_min": 6_000_000, "salary_max": 6_000_000, "salary_period": "year", **EUR,
             "notes": 'Über "Stepstone" gefunden; Frau Groß'},
            {"company": "Bäcker AG", "status": "rejected", "applied_on": "2026-10-01", "salary_min": 5_500_000,
             "salary_max": 6_000_000, **EUR},
            {"position": "Leiterin", "status": "interview", "salary_min": None, "notes": "Gehalt: nach Vereinbarung"},
        ],
        {},
    ),
    "google-sheets.csv": (
        {},
        [
            {"applied_on": "2026-11-20", "salary_min": 5_000_000, "salary_max": 6_000_000, **EUR,
             "notes": "-- first of all"},
            {"applied_on": "2026-11-11", "salary_min": None, "notes": "=1+1\n\nsalary_range: 120000"},
            {"status": "saved", "url": None, "notes": "job_url: not online any more"},
        ],
        {},
    ),
    "libreoffice.tsv": (
        {"encoding": "utf-16-le", "delimiter": "tab"},
        [
            {"company": "Łódź Soft", "applied_on": "2025-11-01", "workplace": "remote", "priority": "high"},
            {"company": "東京 KK", "position": "エンジニア", "status": "accepted", "applied_on": "2026-10-20",
             "workplace": "on_site", "priority": None, "notes": "Priority: 3"},
        ],
        {},
    ),
    "excel-sep.csv": (
        {"delimiter": "semicolon"},
        [{"company": "Contoso", "status": "screening"}, {"company": "Umbrella", "status": "saved"}],
        {5: [("status", "unknown_status")], 6: [("", "too_many_cells")]},
    ),
    "tracker.json": (
        {"format": "json", "delimiter": None},
        [{"company": "Contoso", "status": "applied", "tags": ["go", "sql"], "workplace": "remote",
          "notes": "score: 7"}],
        {2: [("position", "missing")]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_a_file_in_the_wild_says_what_it_says(ada: Person, name: str) -> None:
    facts, records, refused = EXPECTED[name]
    report = bring_in(ada, (FILES / name).read_bytes(), file_name=name)
    assert facts.items() <= report.items()
    assert faults(report) == refused
    assert (report["created"], report["failed"]) == (len(records), len(refused))
    made = applications(ada)
    assert [{key: item[key] for key in record} for item, record in zip(made, records, strict=True)] == records
    again = bring_in(ada, (FILES / name).read_bytes())
    assert (again["created"], again["unchanged"]) == (0, len(records))


def test_every_file_is_tried() -> None:
    assert {file.name for file in FILES.iterdir()} == set(EXPECTED)
