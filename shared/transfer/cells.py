"""What stands in a cell of somebody's table: a day, an amount of money, a text that no program may calculate."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Literal

DateOrder = Literal["dmy", "mdy", "ymd"]

# ---------------------------------------------------------------- formulas

HARMFUL = re.compile("'*[\\s\"`,;|\u00a0\u200b\ufeff]*[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20]")
"""Where a spreadsheet program would calculate instead of show: also after blanks, quotes and separators, and in the
full width of East Asian keyboards (OWASP, "CSV Injection"). The apostrophes in front are those of earlier escapes."""


def neutralised(text: str) -> str:
    """The text with an apostrophe before it, if some program might take it for a formula."""
    return f"'{text}" if HARMFUL.match(text) else text


def as_written(cell: str) -> str:
    """The text that ``neutralised()`` made the cell of."""
    return cell[1:] if cell.startswith("'") and HARMFUL.match(cell, 1) else cell


# ---------------------------------------------------------------- days

MONTHS = {
    name: month
    for month, names in enumerate(
        (
            "jan january januar jän jänner janv janvier",
            "feb february februar févr février",
            "mar march mär märz mrz mars",
            "apr april avr avril",
            "may mai",
            "jun june juni juin",
            "jul july juli juil juillet",
            "aug august août",
            "sep sept september septembre",
            "oct october okt oktober octobre",
            "nov november novembre",
            "dec december dez dezember déc décembre",
        ),
        start=1,
    )
    for name in names.split()
}
WEEKDAY = re.compile(r"^(?:mon|tue|wed|thu|fri|sat|sun|mo|di|mi|do|fr|sa|so)[a-z]*\.?,?\s+", re.IGNORECASE)
CLOCK = re.compile(
    r"[T,\s]+(?:at\s+)?\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?\s*(?:[AaPp]\.?[Mm]\.?)?\s*(?:Z|UTC|GMT|[+-]\d\d:?\d\d)?$"
)
YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})", re.ASCII)
YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d\d)", re.ASCII)
SHORT_YEAR_FIRST = re.compile(r"(\d\d)([-/.])(\d{1,2})\2(\d{1,2})", re.ASCII)
DAY_NAMED = re.compile(r"(\d{1,2})(?:st|nd|rd|th|\.)?[-\s]+(?:of\s+)?([^\W\d_]+)\.?,?[-\s]+(\d{4}|\d\d)")
MONTH_NAMED = re.compile(r"([^\W\d_]+)\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})")
SERIAL = re.compile(r"\d{5}(?:\.\d+)?", re.ASCII)
FIRST_SERIAL, LAST_SERIAL = 20_000, 80_000
"""Days since 1899-12-30, as spreadsheets count them: from 1954 to 2119. Other numbers are no days."""


class NoDate(ValueError):
    """Carries a ``code`` and a message that says what would be understood."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def order_of(column: Iterable[str]) -> DateOrder | None:
    """Whether dates put the day or the month first, by those of them that can be read in one way only."""
    found: set[DateOrder] = set()
    for cell in column:
        if (match := YEAR_LAST.fullmatch(CLOCK.sub("", cell.strip()))) and match[2] != ".":
            first, second = int(match[1]), int(match[3])
            if first > 12 >= second:
                found.add("dmy")
            elif second > 12 >= first:
                found.add("mdy")
    return found.pop() if len(found) == 1 else None


def day(cell: str, *, order: DateOrder | None) -> date:
    """The day that a cell names. With points the day always comes first.

    Raises:
        NoDate: it names none, or with ``order`` unknown it might be two.
    """
    text = CLOCK.sub("", WEEKDAY.sub("", cell.strip()).strip()).strip()
    if match := YEAR_FIRST.fullmatch(text):
        return _day(match[1], match[3], match[4])
    if SERIAL.fullmatch(text) and FIRST_SERIAL <= float(text) <= LAST_SERIAL:
        return date(1899, 12, 30) + timedelta(days=int(float(text)))
    if order == "ymd" and (match := SHORT_YEAR_FIRST.fullmatch(text)):
        return _day(match[1], match[3], match[4])
    if match := YEAR_LAST.fullmatch(text):
        first, second, year = match[1], match[3], match[4]
        if match[2] == "." or int(first) > 12 or order == "dmy":
            return _day(year, second, first)
        if int(second) > 12 or order == "mdy" or first == second:
            return _day(year, first, second)
        raise NoDate("ambiguous_date", "may be two days: say date_order, dmy or mdy")
    if (match := DAY_NAMED.fullmatch(text)) and (month := _month(match[2])):
        return _day(match[3], str(month), match[1])
    if (match := MONTH_NAMED.fullmatch(text)) and (month := _month(match[1])):
        return _day(match[3], str(month), match[2])
    raise NoDate("date", "must be a day, such as 2026-11-20")


def _month(name: str) -> int | None:
    return MONTHS.get(name.lower())


def _day(year: str, month: str, day_of_month: str) -> date:
    number = int(year) + 2000 if len(year) == 2 else int(year)
    try:
        found = date(number, int(month), int(day_of_month))
    except ValueError:
        raise NoDate("date", "is no day of the calendar") from None
    if not 1900 <= found.year <= 2200:
        raise NoDate("date", "must be between the years 1900 and 2200")
    return found


# ---------------------------------------------------------------- money

_CODE = re.compile("[A-Z]{3}")
NO_DECIMALS = frozenset(_CODE.findall("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"))
THREE_DECIMALS = frozenset(_CODE.findall("BHD IQD JOD KWD LYD OMR TND"))
"""ISO 4217: how many digits the smaller unit has, where they are not two."""

SYMBOLS = {"€": "EUR", "£": "GBP", "₹": "INR", "₩": "KRW", "₪": "ILS", "₺": "TRY", "₽": "RUB", "zł": "PLN", "₫": "VND",
           "US$": "USD", "C$": "CAD", "CA$": "CAD", "A$": "AUD", "AU$": "AUD", "NZ$": "NZD", "S$": "SGD", "HK$": "HKD",
           "R$": "BRL", "EURO": "EUR", "EUROS": "EUR"}  # fmt: skip
"""Signs that are one currency's. "$" alone, "¥" and "kr" are several's, and stay open."""

CODES = frozenset(
    _CODE.findall(
        "AED ARS AUD BGN BHD BIF BRL CAD CHF CLP CNY COP CZK DJF DKK EGP EUR GBP GNF HKD HUF IDR ILS INR IQD "
        "ISK JOD JPY KES KMF KRW KWD LYD MAD MXN MYR NGN NOK NZD OMR PEN PHP PKR PLN PYG QAR RON RSD RUB RWF "
        "SAR SEK SGD THB TND TRY TWD UAH UGX USD UYI UYU VND VUV XAF XOF XPF ZAR"
    )
)
PERIODS = {
    "year": "yr yrs year yearly annual annually annum pa jahr jährlich jahresgehalt y",
    "month": "mo month monthly monat monatlich",
    "week": "wk week weekly woche",
    "day": "day daily tag",
    "hour": "h hr hour hourly stunde",
}
PERIOD_WORDS = {word: period for period, words in PERIODS.items() for word in words.split()}
AMOUNT = re.compile(r"(?<![\d.,])(\d{1,3}(?:([.,' \u2019\u00a0\u202f])\d{3}(?:\2\d{3})*)?|\d+)"
                    r"([.,]\d{1,2}(?!\d))?\s?([kKmM](?![A-Za-z]))?(?!\d)")  # fmt: skip
WORDS = re.compile(r"[A-Za-z]{0,2}\$|[€£₹₩₪₺₽₫¥]|[^\W\d_]+")
FILLERS = frozenset(["per", "a", "p", "to", "bis", "and", "und", "von", "from", "brutto", "gross", "pro"])
PER_ANNUM = re.compile(r"p\.\s?a\.?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Salary:
    """Amounts in the currency's smallest unit."""

    low: int | None
    high: int | None
    currency: str
    period: str | None


def digits_of(currency: str) -> int:
    return 0 if currency in NO_DECIMALS else 3 if currency in THREE_DECIMALS else 2


def in_units(minor: int, currency: str) -> str:
    """An amount as people write it: 8000050 US cents are 80000.50."""
    digits = digits_of(currency)
    whole, rest = divmod(minor, 10**digits)
    return f"{whole}.{rest:0{digits}}" if rest else str(whole)


def in_minor(units: Decimal, currency: str) -> int | None:
    """The amount in the smallest unit; None if it has a fraction of that."""
    minor = units.scaleb(digits_of(currency))
    return int(minor) if minor == minor.to_integral_value() else None


def salary(text: str, *, currency: str | None) -> Salary | None:
    """What a text says of pay, if it can be read in one way only and says nothing else.

    ``currency`` is what amounts are in that name none.
    """
    text = PER_ANNUM.sub("year", unicodedata.normalize("NFC", text.strip()))
    named: set[str] = set()
    periods: set[str] = set()
    amounts: list[tuple[Decimal, bool]] = []
    for match in AMOUNT.finditer(text):
        amount = _amount(match)
        if amount is None:
            return None
        amounts.append((amount, bool(match[4])))
    rest = AMOUNT.sub(" ", text)
    for word in WORDS.findall(rest):
        if code := SYMBOLS.get(word.upper()) or SYMBOLS.get(word) or (word.upper() if word.upper() in CODES else None):
            named.add(code)
        elif word in ("$", "¥") or word.lower() == "kr":
            continue  # which of several, the name of the currency says, or the caller
        elif period := PERIOD_WORDS.get(word.lower()):
            periods.add(period)
        elif word.lower() not in FILLERS:
            return None
    if re.search(r"\d|[^\w\s$€£₹₩₪₺₽₫¥/.,\-\u2013\u2014~]", rest):
        return None
    code = named.pop() if len(named) == 1 else currency if not named else None
    if code is None or len(periods) > 1 or not 1 <= len(amounts) <= 2:
        return None
    if len(amounts) == 2 and amounts[1][1] and not amounts[0][1] and amounts[0][0] < 1000:
        amounts[0] = (amounts[0][0] * 1000, True)  # 50-60k
    minor = [in_minor(amount, code) for amount, _ in amounts]
    low, high = minor[0], minor[-1]
    if low is None or high is None or low > high or high > 10**15:
        return None
    return Salary(low, high, code, periods.pop() if periods else None)


def _amount(match: re.Match[str]) -> Decimal | None:
    if match[3] and match[3][0] == match[2]:
        return None  # 12.345.6: which of the points is it?
    whole = re.sub(r"\D", "", match[1])
    try:
        amount = Decimal(whole + (match[3] or "").replace(",", "."))
    except InvalidOperation:
        return None
    return amount * {"k": 1000, "m": 1_000_000}.get((match[4] or "").lower(), 1)
