"""An address without what only tells where somebody found it: what names the posting decides whether two are one."""

from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Sql = psycopg.Connection[Any]

TRACKERS = (
    "utm_source",
    "UTM_Campaign",
    "gclid",
    "fbclid",
    "trk",
    "trackingId",
    "refId",
    "gh_src",
    "lever-source",
    "ref",
)
NAMING = ("gh_jid", "jk", "vjk", "currentJobId", "id", "job", "ashby_jid", "jobId", "reqId", "p")

word = st.text("abcXYZ019-_.~%+é", min_size=0, max_size=8)
pair = st.tuples(st.sampled_from(NAMING), word).map("=".join)
tracker = st.tuples(st.sampled_from(TRACKERS), word).map("=".join)
host = st.sampled_from(["jobs.example.com", "WWW.Example.com", "www.www.example.com", "example.com.", "[2001:db8::1]"])
port = st.sampled_from(["", ":80", ":443", ":8080"])
path = st.lists(word, max_size=3).map(lambda words: "".join(f"/{word}" for word in words))
fragment = st.sampled_from(["", "#apply", "#/jobs/7", "#!/jobs/8"])
settled = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def canonical(sql: Sql, url: str) -> str:
    ((found,),) = sql.execute("SELECT canonical_url(%s)", [url]).fetchall()
    assert found is not None
    return str(found)


@settled
@given(st.data())
def test_neither_trackers_nor_order_nor_spelling_of_the_host_matter(sql: Sql, data: st.DataObject) -> None:
    place = data.draw(path)
    naming = data.draw(st.lists(pair, max_size=4, unique=True))
    trackers = data.draw(st.lists(tracker, max_size=3))
    end = data.draw(fragment)
    plain = f"https://example.com{place}?{'&'.join(naming)}{end}"
    mixed = data.draw(st.permutations(naming + trackers))
    port = data.draw(st.sampled_from(["", ":80", ".:443"]))
    other = f"http://user:a@b@WWW.Example.com{port}{place}/?{'&'.join(mixed)}{end}"
    assert canonical(sql, plain) == canonical(sql, other)


@settled
@given(host, port, path, st.lists(st.one_of(pair, tracker), max_size=4), fragment)
def test_what_is_canonical_stays_so(sql: Sql, host: str, port: str, path: str, pairs: list[str], end: str) -> None:
    once = canonical(sql, f"https://{host}{port}{path}?{'&'.join(pairs)}{end}")
    assert canonical(sql, f"https://{once}") == canonical(sql, f"http://{once}") == once


@settled
@given(st.sampled_from(NAMING), word, word)
def test_what_names_the_posting_matters(sql: Sql, name: str, one: str, other: str) -> None:
    first, second = (canonical(sql, f"https://example.com/jobs?{name}={value}&utm_source=x") for value in (one, other))
    assert (first == second) == (one == other)
    assert first.endswith(f"?{name}={one}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://example.com/jobs/1", "https://example.com/jobs/2"),
        ("https://example.com/Jobs/1", "https://example.com/jobs/1"),
        ("https://example.com:8080/1", "https://example.com/1"),
        ("https://a.example.com/1", "https://b.example.com/1"),
        ("https://example.com/#/jobs/1", "https://example.com/#/jobs/2"),
    ],
)
def test_other_postings_stay_others(sql: Sql, one: str, other: str) -> None:
    assert canonical(sql, one) != canonical(sql, other)
