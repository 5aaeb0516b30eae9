"""The diagram: what flows, and that names are nothing but names in every format."""

import re
from typing import Any
from xml.etree import ElementTree

import psycopg
from hypothesis import given
from hypothesis import strategies as st

from shared.analytics import exposition
from shared.analytics.models import Link, Node, Sankey
from tests.analytics.conftest import Tell, add_stage, figures
from tests.conftest import Person

Sql = psycopg.Connection[Any]
SVG = "{http://www.w3.org/2000/svg}"


def flows(person: Person) -> dict[tuple[str, str], int]:
    sankey = figures(person, "sankey")
    names = [node["name"] for node in sankey["nodes"]]
    return {(names[link["source"]], names[link["target"]]): link["count"] for link in sankey["links"]}


def test_applications_flow_by_first_arrivals_to_where_they_ended(person: Person, tell: Tell) -> None:
    tell(("applied", 20))
    tell(("applied", 20), ("interview", 9, {"round": 1}), ("interview", 5, {"round": 2}), ("rejected", 1))
    tell(("applied", 20), ("interview", 9), ("rejected", 8), ("interview", 7), ("offer", 3))  # closed and opened again
    tell(("applied", 20), ("offer", 9), ("accepted", 8))
    tell(status="rejected")
    assert flows(person) == {
        ("Saved", "Applied"): 4,
        ("Applied", "Interview"): 2,
        ("Applied", "Offer"): 1,
        ("Interview", "Offer"): 1,
        ("Offer", "Accepted"): 1,
        ("Interview", "Rejected"): 1,
        ("Applied", "Rejected"): 1,
        ("Applied", "Still open"): 1,
        ("Offer", "Still open"): 1,
    }


def test_ways_that_cross_make_no_circle(person: Person, tell: Tell) -> None:
    tell(("screening", 9), ("interview", 5))
    tell(("interview", 9), ("screening", 5), ("applied", 2))
    sankey = figures(person, "sankey")
    assert flows(person) == {
        ("Saved", "Screening"): 1,
        ("Saved", "Interview"): 1,
        ("Screening", "Interview"): 1,
        ("Interview", "Still open"): 2,
    }
    assert all(link["source"] < link["target"] for link in sankey["links"])


def test_nobodys_name_is_in_it(person: Person, tell: Tell) -> None:
    tell(("applied", 9), company="Contoso", position="Welder")
    move = {"status": "closed", "reason": "Contoso froze hiring"}
    assert person.post(f"/api/applications/{tell(('applied', 9))['id']}/move", move).status_code == 200
    for form in ("json", "text", "svg"):
        shown = person.get(f"/api/analytics/sankey?format={form}").text
        assert "Closed" in shown
        assert not re.search("contoso|welder|froze", shown, re.IGNORECASE)


def test_text_and_drawing_come_as_what_they_are(person: Person, sql: Sql, tell: Tell) -> None:
    stage = add_stage(sql, person, "</text><script>alert('&')</script> [7] #fff", 9)
    tell(("applied", 9), (stage, 5), ("offer", 2))
    text = person.get("/api/analytics/sankey?format=text")
    assert text.headers["content-type"].startswith("text/plain")
    assert "Saved [1] Applied\n" in text.text
    assert "script>alert(’&’)<∕script> (7) ＃fff [1] Offer\n" in text.text  # noqa: RUF001
    drawing = person.get("/api/analytics/sankey?format=svg")
    assert drawing.headers["content-type"].startswith("image/svg+xml")
    root = ElementTree.fromstring(drawing.text)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg", "title", "desc", "g", "path", "rect", "text",
    }  # fmt: skip
    assert root.find(f"{SVG}title") is not None
    assert "script" in "".join(root.itertext()), "the name itself is there, as text"
    assert person.get("/api/analytics/sankey?format=svg").content == drawing.content


def test_the_drawing_of_nothing_says_so(person: Person) -> None:
    root = ElementTree.fromstring(person.get("/api/analytics/sankey?format=svg").text)
    assert root.findtext(f"{SVG}desc") == "Nothing has moved yet."
    assert person.get("/api/analytics/sankey?format=text").text == "// Nothing has moved yet.\n"


# How SankeyMATIC reads a line: build/constants.js and build/sankeymatic.js of nowthis/sankeymatic.
COMMENT = re.compile(r"^(?:'|//)")
SETTING = re.compile(r"^((?:\w+\s*){1,2}) (?:(#?[\w.-]+)|'(.*)')$")
MOVE = re.compile(r"^move (.+) (-?\d(?:.\d+)?), (-?\d(?:.\d+)?)$")
NODE = re.compile(r"^:(.+) #([a-f0-9]{0,6})?(\.\d{1,4})?\s*(>>|<<)*\s*(>>|<<)*$", re.IGNORECASE)
FLOW = re.compile(r"^(?P<source>.+)\[(?P<amount>[\d\s.+-]+|\*|\?|)\](?P<target>.+)$")
COLOURED = re.compile(r"^(.+)\s+(#\S+)$")
HIDDEN = re.compile(r"^-(.*)-$")

NODES = st.lists(
    st.builds(
        Node,
        name=st.text(min_size=1, max_size=20)
        | st.text("[]#':/\\- n1,.*?<&>", min_size=1, max_size=12)
        | st.sampled_from(["move x", "A [1]", "A (1)", "Rejected", "-x-", "//", "x #fff", ":x #0"]),
        kind=st.sampled_from(["saved", "applied", "in_process", "offer", "accepted", "closed", "open"]),
        count=st.just(3),
    ),
    min_size=2,
    max_size=8,
)


def chain(nodes: list[Node]) -> Sankey:
    return Sankey(nodes=nodes, links=[Link(source=n, target=n + 1, count=n + 1) for n in range(len(nodes) - 1)])


@given(NODES)
def test_sankeymatic_reads_every_name_as_a_name_and_no_two_as_one(nodes: list[Node]) -> None:
    text = exposition.sankeymatic(chain(nodes))
    lines = text.splitlines()
    assert len(lines) == len(nodes) - 1
    names: list[str] = []
    for n, line in enumerate(lines):
        assert not any(other.match(line) for other in (COMMENT, SETTING, MOVE, NODE)), line
        flow = FLOW.match(line)
        assert flow, line
        assert flow["amount"] == str(n + 1)
        source, target = flow["source"].strip(), flow["target"].strip()
        assert not COLOURED.match(target)
        assert not HIDDEN.match(source)
        assert "\\n" not in line
        assert names[-1:] in ([], [source])
        names = [*(names or [source]), target]
    assert len(set(names)) == len(nodes)


@given(NODES)
def test_the_drawing_is_xml_whatever_stages_are_called(nodes: list[Node]) -> None:
    root = ElementTree.fromstring(exposition.svg(chain(nodes)))
    assert len(root.findall(f".//{SVG}rect")) == len(nodes)
    assert len(root.findall(f".//{SVG}path")) == len(nodes) - 1
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on") or "href" in name]
