"""``POST /api/applications/from-url``: a page on this machine's web becomes a draft."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.capture import site as sites
from tests.capture.site import POSTING, Site, answer, page, redirect
from tests.conftest import Client, Person


@pytest.fixture
def site() -> Site:
    return sites.site()


def capture(person: Client, url: str) -> Any:
    return person.post("/api/applications/from-url", {"url": url})


def test_a_draft_is_taken_as_an_application_as_it_is(person: Person, site: Site) -> None:
    posting = POSTING | {
        "description": "<p>Build &amp; run it.</p><ul><li>Python</li></ul>",
        "jobLocation": {"@type": "Place", "address": {"addressLocality": "Berlin", "addressCountry": "DE"}},
        "jobLocationType": "TELECOMMUTE",
        "validThrough": "2026-12-31T23:59:59Z",
        "employmentType": ["FULL_TIME", "CONTRACTOR"],
        "datePosted": "2026-11-01",
        "identifier": {"@type": "PropertyValue", "name": "Contoso", "value": "R-7"},
        "baseSalary": {
            "@type": "MonetaryAmount",
            "currency": "EUR",
            "value": {"@type": "QuantitativeValue", "minValue": 60000, "maxValue": "80000.50", "unitText": "YEAR"},
        },
    }
    url = site.says(page(posting))
    found = capture(person, url)
    assert found.status_code == 200, found.text
    assert found.json() == {
        "draft": {
            "company": "Contoso",
            "position": "Engineer",
            "location": "Berlin, DE",
            "workplace": "remote",
            "url": url,
            "source": "127.0.0.1",
            "salary_min": 6_000_000,
            "salary_max": 8_000_050,
            "salary_currency": "EUR",
            "salary_period": "year",
            "deadline": "2026-12-31",
            "notes": "Build & run it.\n\n- Python",
        },
        "missing": [],
        "found": {
            "employment_type": ["FULL_TIME", "CONTRACTOR"],
            "date_posted": "2026-11-01",
            "valid_through": "2026-12-31T23:59:59Z",
            "identifier": "R-7",
            "applicant_locations": [],
        },
    }
    assert person.get("/api/applications").json()["items"] == []
    made = person.post("/api/applications", found.json()["draft"])
    assert made.status_code == 201, made.text


def test_the_page_at_the_end_of_redirects_is_the_one(person: Person, site: Site) -> None:
    last = site.says(page(POSTING))
    assert capture(person, site.says(redirect(last))).json()["draft"]["url"] == last


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"<html><title>Engineer at Contoso</title></html>", 422, "no_job_posting"),
        (page(POSTING, POSTING | {"title": "Cook"}), 422, "several_job_postings"),
        (b"", 422, "no_job_posting"),
        (answer(b"secret of theirs", status="500 Their secret"), 502, "fetch_failed"),
    ],
)
def test_what_is_no_draft_says_why_in_our_words(person: Person, site: Site, body: Any, status: int, code: str) -> None:
    refused = capture(person, site.says(body))
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert "secret" not in refused.text.lower()


def test_what_is_missing_is_said(person: Person, site: Site) -> None:
    found = capture(person, site.says(page({"@type": "JobPosting", "title": "Engineer"}))).json()
    assert found["missing"] == ["company"]
    assert "company" not in found["draft"]


def test_private_unknown_and_odd_addresses_are_refused_in_the_same_words(
    start_app: Callable[..., str], new_person: Callable[..., Person], site: Site
) -> None:
    person = new_person(start_app(CAPTURE_ALLOW_PRIVATE="false"))
    url = site.says(page(POSTING))
    before = len(site.requests)
    refused = [
        capture(person, address)
        for address in (
            url, "http://localhost/", "http://169.254.169.254/", "https://no-such-name.invalid/", "http://8.8.8.8:8080/",
            "https://u:p@8.8.8.8/", "http://[::1]/",
        )
    ]  # fmt: skip
    assert {answer.status_code for answer in refused} == {422}
    assert len({str(answer.json() | {"request_id": ""}) for answer in refused}) == 1
    assert refused[0].json()["code"] == "address_refused"
    assert len(site.requests) == before


def test_the_limit_is_for_an_account_whichever_way_it_comes(
    start_app: Callable[..., str], new_person: Callable[..., Person], site: Site
) -> None:
    url = start_app(CAPTURE_LIMIT_USER="2/300")
    person, other = new_person(url), new_person(url)
    token = person.post("/api/tokens", {"name": "A script", "scopes": ["applications:write"]}).json()["token"]
    script = Client(url, {"Authorization": f"Bearer {token}"})
    place = site.says(page(POSTING))
    assert [capture(who, place).status_code for who in (person, script, person, script)] == [200, 200, 429, 429]
    assert capture(person, place).json()["policy"] == "capture.user"
    assert capture(other, place).status_code == 200
    script.close()


def test_a_token_that_may_only_read_fetches_nothing(person: Person, app_url: str, site: Site) -> None:
    token = person.post("/api/tokens", {"name": "A script", "scopes": ["applications:read"]}).json()["token"]
    script = Client(app_url, {"Authorization": f"Bearer {token}"})
    before = len(site.requests)
    assert capture(script, site.says(page(POSTING))).json()["code"] == "insufficient_scope"
    assert len(site.requests) == before
    script.close()


@pytest.mark.parametrize(
    "url", ["", "x", "ftp://example.com/", "javascript:alert(1)", "https://", "http://a b/", 7, None]
)
def test_what_is_no_web_address_is_a_fault_of_the_field(person: Person, url: Any) -> None:
    refused = person.post("/api/applications/from-url", {"url": url})
    assert refused.json()["errors"][0]["field"] == "url"
