"""What a page says of a job: in which shapes, and what is left out because it has no one meaning."""

import json
import re
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.applications import ApplicationDraft
from shared.capture import postings
from shared.capture.currencies import DECIMALS
from shared.capture.fetching import Page
from shared.capture.models import Capture
from tests.capture.site import POSTING, page

URL = "https://www.example.com/jobs/7"


def read(body: bytes, *, url: str = URL, media_type: str = "text/html", charset: str | None = None) -> Capture:
    return postings.read(Page(url, media_type, charset, body), asked=url)


def draft(**properties: Any) -> dict[str, Any]:
    """The draft of a posting with these properties."""
    return read(page(POSTING | properties)).draft.model_dump(exclude_none=True, mode="json")


def salary(**properties: Any) -> tuple[Any, ...]:
    found = draft(**properties)
    return tuple(found.get(f"salary_{name}") for name in ("min", "max", "currency", "period"))


# ---------------------------------------------------------------- shapes

PLACE = {"@type": "Place", "address": {"@type": "PostalAddress", "addressLocality": "Berlin", "addressCountry": "DE"}}

# How sites of the kind write it: made up after their documentation and schema.org's, none of them copied.
SITES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "one object, as Greenhouse": (
        page(POSTING | {"jobLocation": PLACE, "datePosted": "2026-11-01"}),
        {"company": "Contoso", "position": "Engineer", "location": "Berlin, DE"},
    ),
    "places in a list, as Lever": (
        page(POSTING | {"jobLocation": [PLACE, {"address": {"addressLocality": "Paris"}}, PLACE]}),
        {"location": "Berlin, DE; Paris"},
    ),
    "remote with requirements, as Ashby": (
        page(
            POSTING
            | {
                "jobLocationType": "TELECOMMUTE",
                "applicantLocationRequirements": [{"@type": "Country", "name": "USA"}, {"name": "Canada"}],
            }
        ),
        {"workplace": "remote"},
    ),
    "a country that is an object, as Workday": (
        page(POSTING | {"jobLocation": {"address": {"addressCountry": {"@type": "Country", "name": "Germany"}}}}),
        {"location": "Germany"},
    ),
    "a graph with references, as Personio": (
        page(
            {
                "@context": "https://schema.org",
                "@graph": [
                    {"@type": "Organization", "@id": "#us", "name": "Contoso GmbH"},
                    {"@type": ["Thing", "JobPosting"], "title": "Koch", "hiringOrganization": {"@id": "#us"}},
                ],
            }
        ),
        {"company": "Contoso GmbH", "position": "Koch"},
    ),
    "an array beside others, as StepStone": (
        page([{"@type": "BreadcrumbList"}, POSTING | {"title": "Koch (m/w/d)"}], {"@type": "WebSite", "name": "Jobs"}),
        {"position": "Koch (m/w/d)"},
    ),
    "within a page, twice, as Indeed": (
        page({"@type": "WebPage", "mainEntity": POSTING}, POSTING),
        {"company": "Contoso", "position": "Engineer"},
    ),
    "a type that is an address, an organization that is a name": (
        page({"@type": "http://schema.org/JobPosting", "title": ["Engineer"], "hiringOrganization": "Contoso"}),
        {"company": "Contoso", "position": "Engineer"},
    ),
    "entities, tags and white space": (
        page(POSTING | {"title": "  R&amp;D &lt;b&gt;Cook&lt;/b&gt;\n (f&#47;m) ", "hiringOrganization": "A&amp;B"}),
        {"company": "A&B", "position": "R&D Cook (f/m)"},
    ),
    "an address that is text": (page(POSTING | {"jobLocation": {"address": "1, Oslo"}}), {"location": "1, Oslo"}),
    "texts with their language": (page(POSTING | {"title": {"@value": "K", "@language": "de"}}), {"position": "K"}),
    "a document of its own": (json.dumps(POSTING).encode(), {"position": "Engineer"}),
}  # fmt: skip


@pytest.mark.parametrize("name", SITES)
def test_the_shapes_of_the_web_are_read(name: str) -> None:
    body, expected = SITES[name]
    kind = "text/html" if body.startswith(b"<") else "application/ld+json"
    found = read(body, media_type=kind)
    assert found.draft.model_dump(include=set(expected)) == expected
    assert found.missing == []


def test_where_applicants_must_be_is_no_place_of_work() -> None:
    found = read(SITES["remote with requirements, as Ashby"][0])
    assert found.draft.location is None
    assert found.found.applicant_locations == ["USA", "Canada"]


def test_what_is_not_said_is_not_there() -> None:
    found = read(page({"@type": "JobPosting"}))
    assert found.draft.model_dump(exclude_none=True) == {"url": URL, "source": "example.com"}
    assert found.missing == ["company", "position"]


def test_two_companies_are_none_and_a_place_of_work_is_not_assumed() -> None:
    found = draft(hiringOrganization=[{"name": "Contoso"}, {"name": "Initech"}], jobLocation=PLACE)
    assert "company" not in found
    assert "workplace" not in found


# ---------------------------------------------------------------- several


def test_of_several_the_one_of_this_page_is_taken() -> None:
    others = [POSTING | {"title": f"Job {n}", "url": f"https://example.com/jobs/{n}/"} for n in range(10)]
    assert read(page(*others)).draft.position == "Job 7"
    assert read(page([{**other, "url": f"/jobs/{n}"} for n, other in enumerate(others)])).draft.position == "Job 7"


@pytest.mark.parametrize(
    "others",
    [
        [POSTING, POSTING | {"title": "Cook"}],
        [POSTING | {"url": "https://example.com/jobs/8"}, POSTING | {"title": "Cook", "url": "/jobs/9"}],
        [POSTING | {"url": URL}, POSTING | {"title": "Cook", "url": URL}],
    ],
)
def test_of_several_none_is_guessed(others: list[Any]) -> None:
    with pytest.raises(postings.Several):
        read(page(*others))


# ---------------------------------------------------------------- pay


def monetary(value: Any, currency: Any = "EUR", **more: Any) -> dict[str, Any]:
    return {"baseSalary": {"@type": "MonetaryAmount", "currency": currency, "value": value, **more}}


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (monetary({"minValue": 60000, "maxValue": 80000, "unitText": "YEAR"}), (6000000, 8000000, "EUR", "year")),
        (monetary({"value": 50000, "unitText": "year"}), (5000000, 5000000, "EUR", "year")),
        (monetary({"value": "17.50", "unitText": "HOUR"}, "USD"), (1750, 1750, "USD", "hour")),
        (monetary({"minValue": 17.5, "unitText": "WEEK"}, "usd"), (1750, None, "USD", "week")),
        (monetary({"maxValue": 4000000, "unitText": "MONTH"}, "JPY"), (None, 4000000, "JPY", "month")),
        (monetary({"value": 1.5, "unitText": "DAY"}, "KWD"), (1500, 1500, "KWD", "day")),
        (monetary({"value": 50000, "currency": "CHF"}, None), (5000000, 5000000, "CHF", None)),
        (monetary(50000, unitText="YEAR"), (5000000, 5000000, "EUR", "year")),
        ({"baseSalary": 50000, "salaryCurrency": "EUR"}, (5000000, 5000000, "EUR", None)),
        ({"baseSalary": {"currency": "EUR", "minValue": 1, "maxValue": 2}}, (100, 200, "EUR", None)),
        (monetary({"minValue": 0, "maxValue": 50000}), (None, 5000000, "EUR", None)),
    ],
)
def test_pay_with_one_meaning_is_taken_to_the_smallest_unit(properties: Any, expected: tuple[Any, ...]) -> None:
    assert salary(**properties) == expected


@pytest.mark.parametrize(
    "properties",
    [
        monetary({"value": "80,000"}),
        monetary({"value": "80.000"}),
        monetary({"value": "80k"}),
        monetary({"value": "60000 - 80000"}),
        monetary({"value": "\u20ac80000"}),
        monetary({"value": "\u0668\u0660"}),
        monetary({"value": 17.555}),
        monetary({"value": 100.5}, "JPY"),
        monetary({"value": -5}),
        monetary({"value": True}),
        monetary({"value": 1e30}),
        monetary({"minValue": 80000, "maxValue": 60000}),
        monetary({"minValue": "lots", "maxValue": 60000}),
        monetary({"value": 100, "unitText": "PROJECT"}),
        monetary({"value": 100}, "EURO"),
        monetary({"value": 100}, "XXX"),
        monetary({"value": 100}, None),
        monetary([{"value": 1}, {"value": 2}]),
        {"baseSalary": [monetary(1)["baseSalary"], monetary(2)["baseSalary"]]},
    ],
)
def test_pay_that_could_mean_two_things_is_left_out_and_told_in_the_pages_words(properties: Any) -> None:
    assert salary(**properties) == (None, None, None, None)
    assert read(page(POSTING | properties)).found.salary


@pytest.mark.parametrize(
    "properties", [{}, monetary({"value": 0}), monetary({"minValue": "0", "maxValue": ""}), monetary({})]
)
def test_pay_of_nothing_is_not_said(properties: Any) -> None:
    assert salary(**properties) == (None, None, None, None)


def test_currencies_are_those_of_iso_4217_with_their_decimals() -> None:
    assert len(DECIMALS) > 150
    assert all(re.fullmatch("[A-Z]{3}", code) for code in DECIMALS)
    assert [DECIMALS[code] for code in ("EUR", "USD", "JPY", "KRW", "KWD", "TND", "HUF")] == [2, 2, 0, 0, 3, 3, 2]
    assert DECIMALS.keys().isdisjoint({"XXX", "XTS", "XAU", "CLF", "BTC"})


# ---------------------------------------------------------------- days and words


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2026-12-31", "2026-12-31"),
        ("2026-12-31T23:59:59Z", "2026-12-31"),
        ("2026-12-31T00:00", "2026-12-31"),
        ("2026-12-31T23:30:00-08:00", "2026-12-31"),
        ("2026-12-31 10:00:00", "2026-12-31"),
        ("2026-02-30", None),
        ("31.12.2026", None),
        ("12/31/2026", None),
        ("20261231", None),
        ("", None),
        (1798675200, None),
    ],
)
def test_the_deadline_is_the_day_that_is_written(written: Any, day: str | None) -> None:
    assert draft(validThrough=written).get("deadline") == day


@pytest.mark.parametrize(
    ("description", "notes"),
    [
        ("<p>One &amp; two</p><p>Three</p>", "One & two\n\nThree"),
        ("&lt;p&gt;1 &amp;amp; 2&lt;/p&gt;&lt;ul&gt;&lt;li&gt;a&lt;/li&gt;&lt;li&gt;b", "1 & 2\n\n- a\n- b"),
        ("One\ntwo", "One\ntwo"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<style>p{}</style>a<script>alert(1)</script>b<!-- c -->d", "abd"),
        ("5 < 6 and a<b", "5 < 6 and a<b"),
        ("tab\there\0 and \ud800 there", "tab here and there"),
        ("  ", None),
        (7, None),
        ({"a": 1}, None),
    ],
)  # fmt: skip
def test_a_description_becomes_plain_text(description: Any, notes: str | None) -> None:
    assert draft(description=description).get("notes") == notes


def test_what_is_too_long_is_cut_where_it_may_be_and_left_out_where_not() -> None:
    found = draft(
        title="x" * 501,
        description="word " * 10_000,
        jobLocation=[{"address": "y" * 300}] + [PLACE] * 3 + [{"address": "z" * 300}],
    )
    assert "position" not in found
    assert len(found["notes"]) <= 20_000
    assert found["notes"].endswith("word \u2026")
    assert found["location"] == "y" * 300 + "; Berlin, DE"


LATIN = b'<script type="application/ld+json">{"@type":"JobPosting","title":"K\xf6chin"}</script>'


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        (page(POSTING | {"title": "K\u00f6chin"}), None),
        (b"\xef\xbb\xbf" + page(POSTING | {"title": "K\u00f6chin"}), "iso-8859-1"),
        (LATIN, "iso-8859-1"),
        (b'<meta charset="windows-1252">' + LATIN, None),
        (b'<meta http-equiv="Content-Type" content="text/html; charset=latin1">' + LATIN, "no-such-charset"),
        (LATIN.decode("latin-1").encode("utf-16"), None),
        (LATIN.decode("latin-1").encode(), "idna"),
    ],
)  # fmt: skip
def test_letters_are_read_as_they_were_written(body: bytes, charset: str | None) -> None:
    assert read(body, charset=charset).draft.position == "K\u00f6chin"


# ---------------------------------------------------------------- pages that are wrong

SOUND = json.dumps(POSTING)


@pytest.mark.parametrize(
    "html",
    [
        f"<script type=application/ld+json>{SOUND}</script>",
        f"<SCRIPT id='a>b' data-x TYPE='application/LD+JSON; charset=utf-8' >{SOUND}</SCRIPT >",
        f'<script type="application/ld+json">//<![CDATA[\n{SOUND}\n//]]></script>',
        f'<script type="application/ld+json"><!-- {SOUND} --></script>',
        f'<script type="application/ld+json">{{"broken": </script><script type="application/ld+json">{SOUND}</script>',
        f'<script type="application/ld+json">{SOUND[:-1]}, "description": "two\nlines\there"}}</script>',
        f'<script type="application/ld+json">{SOUND[:-1]}, "baseSalary": NaN, "x": -Infinity}}</script>',
        f'<script type="application/ld+json">{{"title": "Cook", {SOUND[1:]}</script>',
        f'<p title="<script>"></p></script><script type="application/ld+json">{SOUND}</script>',
    ],
)
def test_pages_as_they_are_found_are_read(html: str) -> None:
    assert read(html.encode()).draft.position == "Engineer"


@pytest.mark.parametrize(
    "html",
    [
        f"<!-- <script type='application/ld+json'>{SOUND}</script> -->",
        f"<script>var a = \"<script type='application/ld+json'>{SOUND}\"</script>",
        f"<textarea><script type='application/ld+json'>{SOUND}</script></textarea>",
        f"<script type='application/json'>{SOUND}</script>",
        f"<script type='application/ld+json'>{SOUND}",
        f"<script type='application/ld+json'>{SOUND[:-1]},}}</script>",
        f"<script type='application/ld+json'>{SOUND[:-1]} // a comment\n}}</script>",
        "<script type='application/ld+json'>" + "[" * 100_000 + "</script>",
        "<script type='application/ld+json'>" + '{"a":' * 100_000 + "</script>",
        "<script type='application/ld+json'>" + "1" * 100_000 + "</script>",
        "<script type='application/ld+json'>[]</script>" * 60 + f"<script type='application/ld+json'>{SOUND}</script>",
        "<script " + "a" * 100_000,
        "\0" * 1000,
        "<!--" * 100_000,
        "<script " * 100_000,
        "<meta " * 100_000,
    ],
)
def test_what_no_browser_would_take_for_a_posting_is_none(html: str) -> None:
    with pytest.raises(postings.NonePosted):
        read(html.encode())


def test_references_in_circles_end() -> None:
    circle = [{"@id": "#a", "name": {"@id": "#b"}}, {"@id": "#b", "name": {"@id": "#a"}}]
    found = read(page(POSTING | {"hiringOrganization": {"@id": "#a"}}, *circle))
    assert found.missing == ["company"]


def test_objects_nested_as_deep_as_json_may_be_are_walked_without_recursion() -> None:
    depth = sys.getrecursionlimit() // 3
    nested = f'<script type="application/ld+json">{"[" * depth}{SOUND}{"]" * depth}</script>'
    assert read(nested.encode()).draft.position == "Engineer"


# ---------------------------------------------------------------- whatever is said

TEXT = st.text(max_size=30) | st.sampled_from(
    ["", "\0", "\ud800", "&#xD800;", "&#0;", "2026-12-31", "EUR", "YEAR", "8,000", "TELECOMMUTE", "x" * 600, "<b>"]
)  # fmt: skip
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
NAMES = (
    "@type @id @value name title value minValue maxValue unitText currency address addressLocality addressCountry url "
    "hiringOrganization jobLocation jobLocationType baseSalary salaryCurrency validThrough description identifier "
    "employmentType applicantLocationRequirements datePosted"
)
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES.split()), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(NAMES.split()), VALUE, max_size=10))
def test_whatever_a_page_says_the_draft_could_be_an_application(properties: dict[str, Any]) -> None:
    posting = {**properties, "@type": "JobPosting"}
    try:
        found = read(page(posting))
    except postings.Several:  # one within the other
        return
    answer = found.model_dump_json(exclude_none=True)
    given_back = json.loads(answer)["draft"]
    stand_in = dict.fromkeys(found.missing, "x")
    ApplicationDraft.model_validate_json(json.dumps(stand_in | given_back))
    assert given_back.get("salary_min") is None or given_back["salary_currency"] in DECIMALS
    assert set(found.missing) == {"company", "position"} - given_back.keys()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_whatever_bytes_come_they_are_read_or_are_no_posting(body: bytes) -> None:
    for before in (b"", b"<script type='application/ld+json'>", b'<meta charset="'):
        with pytest.raises(postings.NonePosted):
            read(before + body)
