"""Days, amounts and formulas, one cell at a time."""

from contextlib import suppress
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.transfer import cells, history, words
from shared.transfer.cells import DateOrder, NoDate, Salary

THE_DAY = date(2026, 11, 20)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
"""All texts that PostgreSQL holds."""


@pytest.mark.parametrize(
    "cell",
    ["2026-11-20", "2026/11/20", "20.11.2026", "20.11.26", "11/20/2026", "20/11/2026", "20-11-2026", "Nov 20, 2026",
     "November 20, 2026 3:00 PM", "20 November 2026", "20. November 2026", "20-Nov-26", "20th of Nov 2026", "46346",
     "46346.75", "2026-11-20T09:00:00Z", "2026-11-20 23:59:59.123+02:00", "Fri, Nov 20, 2026", "20 novembre 2026",
     " 2026-11-20 "],
)  # fmt: skip
def test_a_day_is_read_in_any_spelling_that_means_one_day(cell: str) -> None:
    assert cells.day(cell, order=None) == THE_DAY


@pytest.mark.parametrize(
    ("cell", "order", "read"),
    [("11/12/2026", "dmy", date(2026, 12, 11)), ("11/12/2026", "mdy", date(2026, 11, 12)),
     ("26/11/12", "ymd", date(2026, 11, 12)), ("11/11/2026", None, date(2026, 11, 11))],
)  # fmt: skip
def test_which_comes_first_is_as_it_is_said(cell: str, order: DateOrder | None, read: date) -> None:
    assert cells.day(cell, order=order) == read


@pytest.mark.parametrize(
    ("cell", "code"),
    [("11/12/2026", "ambiguous_date"), ("31.2.2026", "date"), ("soon", "date"), ("7", "date"), ("99999", "date"),
     ("2026", "date"), ("13/13/2026", "date"), ("1.1.1800", "date"), ("\u0662026-11-20", "date"),
     ("20 Foo 2026", "date")],
)  # fmt: skip
def test_what_may_be_two_days_or_none_is_not_guessed(cell: str, code: str) -> None:
    with pytest.raises(NoDate) as refused:
        cells.day(cell, order=None)
    assert refused.value.code == code


def test_one_date_of_a_column_tells_the_order_of_all_unless_another_contradicts() -> None:
    assert cells.order_of(["1/2/2026", "13/2/2026", "1.13.2026"]) == "dmy"
    assert cells.order_of(["1/2/2026", "2/13/2026"]) == "mdy"
    assert cells.order_of(["1/2/2026"]) is None
    assert cells.order_of(["13/2/2026", "2/13/2026"]) is None


@given(st.dates(date(1900, 1, 1), date(2200, 12, 31)), st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%d %B %Y"]))
def test_every_day_is_read_as_it_was_written(day: date, spelling: str) -> None:
    assert cells.day(day.strftime(spelling), order=None) == day


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("80,000 - 100,000 USD", Salary(8_000_000, 10_000_000, "USD", None)),
        ("€50k\u201360k", Salary(5_000_000, 6_000_000, "EUR", None)),
        ("50-60k €", Salary(5_000_000, 6_000_000, "EUR", None)),
        ("60.000,50 EUR p.a.", Salary(6_000_050, 6_000_050, "EUR", "year")),
        ("£25.50/hr", Salary(2550, 2550, "GBP", "hour")),
        ("US$120,000", Salary(12_000_000, 12_000_000, "USD", None)),
        ("¥6,000,000 JPY", Salary(6_000_000, 6_000_000, "JPY", None)),
        ("CHF 120'000 per year", Salary(12_000_000, 12_000_000, "CHF", "year")),
    ],
)
def test_an_amount_that_is_certain_is_an_amount(text: str, found: Salary) -> None:
    assert cells.salary(text, currency=None) == found


@pytest.mark.parametrize(
    "text",
    ["120000", "$120,000", "80k EUR + bonus", "100 - 50 EUR", "1 2 3 EUR", "EUR", "competitive", "50 EUR or 60 USD",
     "-50 000 000 000 000 000 EUR", "5 EUR/year/month", "12.345.6 EUR", "9" * 400 + " EUR"],
)  # fmt: skip
def test_an_amount_that_is_not_certain_is_none(text: str) -> None:
    assert cells.salary(text, currency=None) is None


def test_the_currency_that_the_caller_names_is_for_amounts_that_name_none() -> None:
    assert cells.salary("$120k", currency="CAD") == Salary(12_000_000, 12_000_000, "CAD", None)
    assert cells.salary("€120k", currency="CAD") == Salary(12_000_000, 12_000_000, "EUR", None)


@given(TEXTS)
def test_no_text_breaks_the_reading_of_a_cell(text: str) -> None:
    cells.salary(text, currency="EUR")
    words.plain(text)
    with suppress(NoDate):
        cells.day(text, order="dmy")


@pytest.mark.parametrize(
    "text", ["=1", "+1", "-1", "@x", "\t=", "\r1", " =1", '"=1', ";=1", "\n=1", ",@", "'=1", "\uff1d1", "\ufeff=1"]
)
def test_what_a_program_might_calculate_has_an_apostrophe_before_it(text: str) -> None:
    assert cells.neutralised(text) == f"'{text}"


@pytest.mark.parametrize("text", ["'tis", "1=1", "a;=1", "''", "", "Contoso"])
def test_what_no_program_calculates_stays(text: str) -> None:
    assert cells.neutralised(text) == text == cells.as_written(text)


@given(st.one_of(TEXTS, st.text("'=+-@\t\r\n ;,\"a")))
@example("'=")
@example("''' @")
def test_a_cell_is_undone_to_the_letter(text: str) -> None:
    assert cells.as_written(cells.neutralised(text)) == text


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=4))
def test_a_history_is_read_as_it_was_written(parts: list[tuple[str, str, str]]) -> None:
    steps = [
        {"occurred_at": "2026-11-20T09:00:00+00:00", "kind": "moved", "status": "applied", "name": f"x{name}",
         "round": "2", "round_name": a or None, "reason": None, "note": b or None}
        for name, a, b in parts
    ]  # fmt: skip
    assert history.read(history.written(steps)) == steps
