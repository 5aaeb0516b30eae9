"""Writing an application down: what is kept, what is filled in, what is refused."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.applications.refusals import fault, invalid
from tests.conftest import Person

DRAFT: dict[str, Any] = {"company": "Contoso", "position": "Engineer"}
FULL: dict[str, Any] = {
    "company": "Müller & Söhne",
    "position": "Entwicklerin (m/w/d)",
    "location": "Zürich",
    "workplace": "hybrid",
    "url": "https://jobs.example.com/42?from=list#apply",
    "source": "a friend",
    "priority": "high",
    "status": "applied",
    "salary_min": 9_000_000,
    "salary_max": 11_000_000,
    "salary_currency": "CHF",
    "salary_period": "year",
    "applied_on": "2026-02-28",
    "deadline": "2026-03-31",
    "notes": "Ask for Ms. Öztürk.\n",
}
STATUSES = (
    *("saved", "applied", "screening", "interview", "offer", "accepted"),
    *("rejected", "withdrawn", "ghosted", "closed"),
)
ONE_LINE = ("company", "position", "location", "source")


def test_an_application_is_kept_as_it_was_written_down(writer: Person) -> None:
    created = writer.post("/api/applications", FULL)
    kept = created.json()
    assert created.status_code == 201
    assert {field: kept[field] for field in FULL} == FULL
    assert writer.get(f"/api/applications/{kept['id']}").json() == kept


def test_the_answer_says_where_it_is_and_at_which_version(writer: Person) -> None:
    created = writer.post("/api/applications", DRAFT)
    kept = created.json()
    assert created.headers["location"] == f"/api/applications/{kept['id']}"
    assert (created.headers["etag"], kept["version"]) == ('"1"', 1)
    read = writer.get(created.headers["location"])
    assert (read.status_code, read.headers["etag"], read.json()) == (200, '"1"', kept)


def test_what_is_left_out_is_empty_and_the_status_is_saved(writer: Person) -> None:
    kept = writer.post("/api/applications", DRAFT).json()
    assert kept["status"] == "saved"
    assert {field for field in FULL if kept[field] is None} == set(FULL) - {"company", "position", "status"}
    assert kept["tags"] == []


def test_ids_are_in_the_order_of_time(writer: Person) -> None:
    ids = [UUID(writer.create_application()["id"]) for _ in range(3)]
    assert {id_.version for id_ in ids} == {7}
    assert ids == sorted(ids)


def test_times_are_utc_and_of_now(writer: Person) -> None:
    kept = writer.create_application()
    created_at = datetime.fromisoformat(kept["created_at"])
    assert created_at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - created_at) < timedelta(minutes=1)
    assert kept["updated_at"] == kept["created_at"]


# ---------------------------------------------------------------- statuses, words and days


@pytest.mark.parametrize("status", STATUSES)
def test_an_application_may_have_any_of_ten_statuses(writer: Person, status: str) -> None:
    assert writer.create_application(status=status)["status"] == status


@pytest.mark.parametrize("status", ["", "hired", "Applied", "applied ", "saved,applied"])
def test_other_statuses_are_refused(writer: Person, status: str) -> None:
    assert fault(writer.post("/api/applications", DRAFT | {"status": status})) == invalid("status")


@pytest.mark.parametrize("period", ["hour", "day", "week", "month", "year"])
def test_pay_is_by_the_hour_day_week_month_or_year(writer: Person, period: str) -> None:
    assert writer.create_application(salary_period=period)["salary_period"] == period


@pytest.mark.parametrize("period", ["", "years", "Year", "fortnight"])
def test_other_periods_are_refused(writer: Person, period: str) -> None:
    assert fault(writer.post("/api/applications", DRAFT | {"salary_period": period})) == invalid("salary_period")


@pytest.mark.parametrize("day", ["2024-02-29", "0001-01-01", "9999-12-31"])
def test_any_day_of_the_calendar_is_kept(writer: Person, day: str) -> None:
    assert writer.create_application(applied_on=day)["applied_on"] == day


@pytest.mark.parametrize(
    "day",
    ["", "2025-02-29", "2025-13-01", "0000-01-01", "10000-01-01", "20250101", "2025-1-1", " 2025-01-01", "01/02/2025"],
)
def test_a_day_that_is_not_or_not_so_written_is_refused(writer: Person, day: str) -> None:
    assert fault(writer.post("/api/applications", DRAFT | {"applied_on": day})) == invalid("applied_on")


@pytest.mark.parametrize("moment", ["2025-01-01T00:00:00Z", "2025-01-01 00:00", "2025-W01-1", "now", "infinity"])
def test_a_moment_is_no_day(writer: Person, moment: str) -> None:
    assert fault(writer.post("/api/applications", DRAFT | {"applied_on": moment})) == invalid("applied_on")


@pytest.mark.parametrize("seconds", ["0", "1700006400"])
def test_seconds_since_1970_are_no_day(writer: Person, seconds: str) -> None:
    assert fault(writer.post("/api/applications", DRAFT | {"applied_on": seconds})) == invalid("applied_on")


# ---------------------------------------------------------------- salaries


@pytest.mark.parametrize(("least", "most"), [(0, 0), (0, 1), (5_000_000, 5_000_000), (1, 10**15), (10**15, 10**15)])
def test_a_salary_is_exact_in_minor_units(writer: Person, least: int, most: int) -> None:
    kept = writer.create_application(salary_min=least, salary_max=most, salary_currency="EUR")
    assert (kept["salary_min"], kept["salary_max"], kept["salary_currency"]) == (least, most, "EUR")


@pytest.mark.parametrize("field", ["salary_min", "salary_max"])
@pytest.mark.parametrize("amount", [-1, 10**15 + 1, 10**30, 1.0, 0.5, "1", "", True, [], {}])
def test_an_amount_is_a_whole_number_of_minor_units(writer: Person, field: str, amount: object) -> None:
    assert fault(writer.post("/api/applications", DRAFT | {"salary_currency": "EUR", field: amount})) == invalid(field)


def test_the_lower_amount_comes_first(writer: Person) -> None:
    upside_down = {"salary_min": 2, "salary_max": 1, "salary_currency": "EUR"}
    assert fault(writer.post("/api/applications", DRAFT | upside_down)) == invalid("salary_min")


@pytest.mark.parametrize("amounts", [{"salary_min": 1}, {"salary_max": 1}, {"salary_min": 0, "salary_max": 0}])
def test_an_amount_needs_a_currency(writer: Person, amounts: dict[str, int]) -> None:
    assert fault(writer.post("/api/applications", DRAFT | amounts)) == invalid("salary_currency")
    assert writer.post("/api/applications", DRAFT | amounts | {"salary_currency": "JPY"}).status_code == 201


def test_a_currency_needs_no_amount(writer: Person) -> None:
    assert writer.create_application(salary_currency="SEK")["salary_currency"] == "SEK"


@pytest.mark.parametrize("currency", ["", "eur", "EU", "EURO", "E1R", " EUR", "EUR\n", "ÄÖÜ", "\uff25\uff35\uff32"])
def test_a_currency_is_three_capital_letters(writer: Person, currency: str) -> None:
    assert fault(writer.post("/api/applications", DRAFT | {"salary_currency": currency})) == invalid("salary_currency")


# ---------------------------------------------------------------- addresses

ADDRESSES = [
    "http://example.com",
    "https://example.com/",
    "HTTPS://Example.COM/A?b=c&d=%20%zz#e",
    "https://jobs.example.com:8443/42",
    "https://user:secret@example.com/",
    "http://127.0.0.1/",
    "http://[2001:db8::1]:8080/",
    "https://xn--mnchen-3ya.example/",
    "https://münchen.example/straße?q=größe",
    "https://example.com/" + "a" * (2048 - len("https://example.com/")),
    "https://example.com/'; DROP TABLE users;--".replace(" ", "+"),
]
NO_ADDRESSES = [
    "",
    "example.com",
    "//example.com",
    "/jobs/42",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "javascript://example.com/%0aalert(1)",
    "java\nscript:alert(1)",
    " javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "file:///etc/passwd",
    "ftp://example.com/",
    "mailto:jobs@example.com",
    "ws://example.com/",
    "http:",
    "http:example.com",
    "http:/example.com",
    "http://",
    "http:///path",
    "http://?q=1",
    "http://#top",
    "http://:80/",
    "http://user@/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:port/",
    "http://[::1",
    "http://[nonsense]/",
    "https://example.com/" + "a" * (2049 - len("https://example.com/")),
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_web_address_is_kept_to_the_letter(writer: Person, address: str) -> None:
    assert writer.create_application(url=address)["url"] == address


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_what_is_no_web_address_is_refused(writer: Person, address: str) -> None:
    assert fault(writer.post("/api/applications", DRAFT | {"url": address})) == invalid("url")


@pytest.mark.parametrize("place", ["{}https://example.com/", "https://exa{}mple.com/", "https://example.com/{}"])
@pytest.mark.parametrize("character", ["\0", "\t", "\n", "\r", "\x1b", " ", "\x7f"])
def test_spaces_and_controls_have_no_place_in_an_address(writer: Person, place: str, character: str) -> None:
    address = place.format(character)
    assert fault(writer.post("/api/applications", DRAFT | {"url": address})) == invalid("url")


@pytest.mark.parametrize("character", ["\x80", "\x85", "\x9f", "\xa0", "\u2028", "\u2029", "\u3000"])
def test_neither_have_the_spaces_and_controls_beyond_ascii(writer: Person, character: str) -> None:
    address = f"https://example.com/{character}"
    assert fault(writer.post("/api/applications", DRAFT | {"url": address})) == invalid("url")


# ---------------------------------------------------------------- text


@pytest.mark.parametrize(
    "notes",
    [
        "",
        " ",
        "two lines\nand a half\n",
        "Windows\r\nlines\r",
        "\ttabs\t and trailing spaces   ",
        "👩🏽‍💻🏳️‍🌈 emoji made of several",
        "e\u0301 is not \u00e9",
        "مرحبا שלום \u202e",
        "\x01\x1b[31m\x7f\x80\ufeff\uffff",
        "\U0010ffff",
        '"quoted" \\ \\n \\u0041 {"json": [1]}',
        "'; DROP TABLE users;-- $1 %s %(a)s",
        "😀" * 20_000,
    ],
)
def test_notes_are_kept_to_the_letter(writer: Person, notes: str) -> None:
    kept = writer.create_application(notes=notes)
    assert kept["notes"] == notes
    assert writer.get(f"/api/applications/{kept['id']}").json()["notes"] == notes


def test_notes_have_their_length(writer: Person) -> None:
    assert fault(writer.post("/api/applications", DRAFT | {"notes": "x" * 20_001})) == invalid("notes")


@pytest.mark.parametrize("field", ONE_LINE)
def test_space_around_a_line_is_taken_off(writer: Person, field: str) -> None:
    assert writer.create_application(**{field: " \t Ünïcode Ltd\u3000\n"})[field] == "Ünïcode Ltd"


@pytest.mark.parametrize("field", ONE_LINE)
@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\u3000\u00a0"])
def test_a_line_of_nothing_is_refused(writer: Person, field: str, blank: str) -> None:
    assert fault(writer.post("/api/applications", DRAFT | {field: blank})) == invalid(field)


@pytest.mark.parametrize("field", ONE_LINE)
def test_a_line_has_at_most_500_characters(writer: Person, field: str) -> None:
    assert writer.create_application(**{field: "ü" * 500})[field] == "ü" * 500
    assert fault(writer.post("/api/applications", DRAFT | {field: "ü" * 501})) == invalid(field)


def test_the_space_that_is_taken_off_does_not_count(writer: Person) -> None:
    assert writer.create_application(company=f" {'x' * 500} ")["company"] == "x" * 500


# ---------------------------------------------------------------- shapes


@pytest.mark.parametrize("field", ["id", "user_id", "version", "created_at", "updated_at", "salary", "Company", ""])
def test_a_field_that_is_not_the_callers_to_set_is_refused(writer: Person, field: str) -> None:
    assert fault(writer.post("/api/applications", DRAFT | {field: "1"})) == invalid(field)


@pytest.mark.parametrize("field", [field for field in FULL if not field.startswith("salary_m")])
@pytest.mark.parametrize("value", [1, 1.5, True, [], ["x"], {"x": "y"}])
def test_a_value_of_another_type_is_refused(writer: Person, field: str, value: object) -> None:
    assert fault(writer.post("/api/applications", DRAFT | {field: value})) == invalid(field)


@pytest.mark.parametrize("field", ["company", "position", "status"])
def test_null_is_no_value_for_what_must_be_there(writer: Person, field: str) -> None:
    assert fault(writer.post("/api/applications", DRAFT | {field: None})) == invalid(field)


@pytest.mark.parametrize("field", sorted(set(FULL) - {"company", "position", "status"}))
def test_null_is_as_good_as_left_out_elsewhere(writer: Person, field: str) -> None:
    assert writer.create_application(**{field: None})[field] is None


def test_company_and_position_are_required(writer: Person) -> None:
    refused = writer.post("/api/applications", {})
    assert refused.status_code == 422
    assert [(error["field"], error["code"]) for error in refused.json()["errors"]] == [
        ("company", "missing"),
        ("position", "missing"),
    ]


def test_every_field_at_fault_is_named(writer: Person) -> None:
    refused = writer.post("/api/applications", {"company": 1, "status": "x", "salary_min": -1, "url": "x", "more": 1})
    faulty = {error["field"] for error in refused.json()["errors"]}
    assert faulty == {"company", "position", "status", "salary_min", "url", "more"}


def test_what_was_refused_is_not_there(person: Person) -> None:
    person.post("/api/applications", DRAFT | {"salary_min": 2, "salary_max": 1, "salary_currency": "EUR"})
    person.post("/api/applications", DRAFT | {"status": "hired"})
    assert person.get("/api/applications").json() == {"items": [], "next_cursor": None}
