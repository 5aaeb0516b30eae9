"""The board: one order that every tab reads, however many move cards at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from random import Random
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.applications.refusals import fault, invalid
from tests.conftest import Person
from tests.timeline.moves import events, read, stage

Sql = psycopg.Connection[Any]


def board(person: Person, query: str = "") -> dict[str, list[str]]:
    """The companies in every column, from the top."""
    columns = person.get(f"/api/applications/board{query}").json()["columns"]
    assert all(column["count"] >= len(column["items"]) for column in columns)
    return {column["stage"]["name"]: [card["company"] for card in column["items"]] for column in columns}


def put(person: Person, card: dict[str, Any], **place: Any) -> dict[str, Any]:
    answer = person("PUT", f"/api/applications/{card['id']}/position", place)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def deal(person: Person, names: str, **fields: Any) -> dict[str, dict[str, Any]]:
    """Cards in one column, in this order from the top."""
    return {name: person.create_application(company=name, **fields) for name in reversed(names)}


def ranks(sql: Sql, person: Person) -> dict[str, tuple[Decimal, str]]:
    """Each card's rank, and the transaction that wrote its row."""
    rows = sql.execute("SELECT company, board_rank, xmin::text FROM applications WHERE user_id = %s", [person.id])
    return {company: (rank, written) for company, rank, written in rows}


def test_the_board_has_a_column_for_each_stage_and_new_cards_on_top(person: Person) -> None:
    deal(person, "abc")
    person.create_application(company="x", status="offer", tags=["t"], priority="high", deadline="2027-01-01")
    assert list(board(person)) == ["Saved", "Applied", "Screening", "Interview", "Offer", "Accepted", "Closed"]
    assert {name: cards for name, cards in board(person).items() if cards} == {"Saved": ["a", "b", "c"], "Offer": ["x"]}
    answer = person.get("/api/applications/board").json()["columns"][4]
    application = person.get("/api/applications").json()["items"][0]
    (card,) = answer["items"]
    assert card == {name: application[name] for name in card}
    assert answer["stage"] == person.get(f"/api/stages/{application['stage_id']}").json()


def test_a_card_goes_where_it_is_put(person: Person) -> None:
    cards = deal(person, "abcd")
    put(person, cards["d"], after=cards["a"]["id"])
    assert board(person)["Saved"] == ["a", "d", "b", "c"]
    put(person, cards["a"], before=cards["c"]["id"])
    assert board(person)["Saved"] == ["d", "b", "a", "c"]
    put(person, cards["c"])
    assert board(person)["Saved"] == ["c", "d", "b", "a"]
    put(person, cards["c"], before=None)
    assert board(person)["Saved"] == ["d", "b", "a", "c"]
    put(person, cards["a"], after=None)
    assert board(person)["Saved"] == ["a", "d", "b", "c"]


def test_moving_a_card_writes_one_row_and_where_it_is_already_none(person: Person, sql: Sql) -> None:
    cards = deal(person, "abcdef")
    before = ranks(sql, person)
    put(person, cards["f"], after=cards["b"]["id"])
    after = ranks(sql, person)
    assert [name for name in after if after[name] != before[name]] == ["f"]
    put(person, cards["f"], after=cards["b"]["id"])
    put(person, cards["f"], before=cards["c"]["id"])
    assert ranks(sql, person) == after
    assert len(str(after["f"][0])) <= 4, "the shortest that lies between"


def test_another_place_in_a_column_is_no_other_version(person: Person) -> None:
    cards = deal(person, "ab")
    assert put(person, cards["b"]) == cards["b"]
    edit = person.patch(f"/api/applications/{cards['b']['id']}", {"notes": "x"}, headers={"If-Match": '"1"'})
    assert edit.status_code == 200, "who was editing it is not disturbed"
    assert [event["kind"] for event in events(person, cards["b"])] == ["edited", "created"]


def test_another_column_is_a_move(person: Person) -> None:
    cards = deal(person, "ab", status="applied") | deal(person, "x")
    moved = put(person, cards["x"], status="applied", after=cards["a"]["id"])
    assert (moved["status"], moved["version"]) == ("applied", 2)
    assert moved["follow_up_at"] is not None
    assert board(person)["Applied"] == ["a", "x", "b"]
    assert [event["kind"] for event in events(person, cards["x"])] == ["moved", "created"]
    put(person, cards["x"], stage_id=stage(person, "Offer"), before=None)
    assert (board(person)["Applied"], board(person)["Offer"]) == (["a", "b"], ["x"])


def test_a_card_whose_neighbour_has_left_goes_on_top(person: Person, new_person: Callable[..., Person]) -> None:
    cards = deal(person, "abcd")
    person.post(f"/api/applications/{cards['b']['id']}/move", {"status": "offer"})
    put(person, cards["d"], after=cards["b"]["id"])
    assert board(person)["Saved"] == ["d", "a", "c"]
    person.delete(f"/api/applications/{cards['b']['id']}")
    put(person, cards["c"], before=cards["b"]["id"])
    assert board(person)["Saved"] == ["c", "d", "a"]
    put(person, cards["a"], after=new_person().create_application()["id"])
    assert board(person)["Saved"] == ["a", "c", "d"]
    put(person, cards["d"], after=cards["d"]["id"])
    assert board(person)["Saved"] == ["d", "a", "c"]


def test_a_place_that_is_none_is_refused(person: Person) -> None:
    a, b = deal(person, "ab").values()
    path = f"/api/applications/{a['id']}/position"
    assert fault(person("PUT", path, {"after": b["id"], "before": None})) == invalid("")
    assert fault(person("PUT", path, {"status": "offer", "stage_id": a["stage_id"]})) == invalid("")
    stale = person("PUT", path, {"status": "offer"}, headers={"If-Match": '"7"'})
    assert (stale.status_code, stale.json()["version"]) == (412, 1)
    assert person("PUT", path, {}, headers={"If-Match": '"7"'}).status_code == 412
    assert read(person, a) == a


def test_a_column_pages_on_in_its_order(person: Person, sql: Sql) -> None:
    deal(person, "abcdefg")
    sql.execute("UPDATE applications SET board_rank = 5 WHERE user_id = %s AND company IN ('c', 'd')", [person.id])
    whole = board(person)["Saved"]
    saved, found = stage(person, "Saved"), []
    query = f"?stage_id={saved}&limit=2"
    while query:
        (column,) = person.get(f"/api/applications/board{query}").json()["columns"]
        assert column["count"] == 7
        found += [card["company"] for card in column["items"]]
        query = column["next_cursor"] and f"?stage_id={saved}&limit=3&cursor={column['next_cursor']}"
    assert found == whole
    assert sorted(found) == list("abcdefg")
    (column,) = person.get(f"/api/applications/board?stage_id={saved}&limit=1").json()["columns"]
    assert fault(person.get(f"/api/applications/board?cursor={column['next_cursor']}")) == invalid("")
    assert fault(person.get(f"/api/applications/board?stage_id={saved}&cursor=x")) == invalid("cursor")


def test_a_retired_column_is_there_while_it_has_cards(person: Person) -> None:
    card = person.create_application(company="x", status="screening")
    person.delete(f"/api/stages/{card['stage_id']}")
    assert list(board(person))[-1] == "Screening"
    put(person, card, status="offer")
    assert "Screening" not in board(person)


def test_between_two_of_the_same_rank_there_is_room(person: Person, sql: Sql) -> None:
    cards = deal(person, "abcdx")
    sql.execute("UPDATE applications SET board_rank = 3 WHERE user_id = %s", [person.id])
    order = [name for name in board(person)["Saved"] if name != "x"]
    put(person, cards["x"], after=cards[order[1]]["id"])
    assert board(person)["Saved"] == [*order[:2], "x", *order[2:]]
    put(person, cards["x"], before=cards[order[1]]["id"])
    assert board(person)["Saved"] == [order[0], "x", *order[1:]]


def test_a_thousand_moves_into_one_gap_find_room(person: Person, sql: Sql) -> None:
    cards = deal(person, "axyb")
    longest = 0
    with sql.transaction():
        sql.execute("SELECT set_config('app.user_id', %s, true)", [person.id])
        for n in range(1000):
            card = cards["xy"[n % 2]]["id"]
            sql.execute("SELECT place_application(%s, NULL, NULL, NULL, %s, true)", [card, cards["a"]["id"]])
            if n % 10 == 0:
                row = sql.execute("SELECT max(scale(board_rank)) FROM applications WHERE user_id = %s", [person.id])
                longest = max(longest, *(row.fetchone() or ()))
    assert 20 < longest <= 60
    assert board(person)["Saved"] == ["a", "y", "x", "b"]


@settings(max_examples=200, deadline=None)
@given(
    pair=st.lists(
        st.decimals(-1000, 1000, allow_nan=False, places=9) | st.integers(-5, 5).map(Decimal),
        min_size=2,
        max_size=2,
        unique=True,
    )
)
def test_a_rank_between_two_is_the_shortest_that_there_is(database_url: str, pair: list[Decimal]) -> None:
    low, high = sorted(pair)
    with psycopg.connect(database_url) as sql:
        (rank,) = sql.execute("SELECT rank_between(%s, %s)", [low, high]).fetchone() or ()
    assert low < rank < high
    digits = max(0, -rank.as_tuple().exponent)
    if digits:
        shorter = Decimal(1).scaleb(-(digits - 1))
        assert (low // shorter) * shorter + shorter >= high or low < 0
        coarse = [
            (low / shorter).to_integral_value("ROUND_FLOOR") + 1,
            (high / shorter).to_integral_value("ROUND_CEILING"),
        ]
        assert coarse[0] >= coarse[1], "a shorter one lies between"


@pytest.mark.parametrize("seed", [1, 2])
def test_sixteen_who_move_cards_at_once_leave_every_card_in_one_place(person: Person, sql: Sql, seed: int) -> None:
    cards = deal(person, "abcdefgh")
    ids = [card["id"] for card in cards.values()]

    def drag(n: int) -> list[int]:
        random, answers = Random(seed * 100 + n), []
        for _ in range(6):
            card, neighbour = random.sample(ids, 2)
            place: dict[str, Any] = {random.choice(["after", "before"]): random.choice([neighbour, None])}
            if random.random() < 0.5:
                place["status"] = random.choice(["saved", "applied"])
            answers.append(person("PUT", f"/api/applications/{card}/position", place).status_code)
        return answers

    with ThreadPoolExecutor(16) as crowd:
        assert {status for answers in crowd.map(drag, range(16)) for status in answers} == {200}
    one_tab, other_tab = board(person), board(person)
    assert one_tab == other_tab
    assert sorted(one_tab["Saved"] + one_tab["Applied"]) == list("abcdefgh")
    placed = sql.execute(
        "SELECT stage_id, board_rank FROM applications WHERE user_id = %s GROUP BY 1, 2 HAVING count(*) > 1",
        [person.id],
    )
    assert placed.fetchall() == [], "no two at one place"
    for card in cards.values():
        document = read(person, card)
        latest = next(event for event in events(person, card) if event["stage_id"])
        assert document["stage_id"] == latest["stage_id"]


def test_the_board_goes_by_its_index(person: Person, sql: Sql) -> None:
    sql.execute(
        "INSERT INTO applications (user_id, company, position) "
        "SELECT %s, 'C' || n, 'P' FROM generate_series(1, 3000) n",
        [person.id],
    )
    from shared.board import queries

    with sql.transaction(force_rollback=True):
        sql.execute("ANALYZE applications")
        sql.execute("SELECT set_config('app.user_id', %s, true)", [person.id])
        sql.execute("SET LOCAL ROLE tenant")
        sql.execute("SET LOCAL enable_seqscan = off")  # whoever has most of a small table may well read it whole
        params = {"stage_id": None, "after_id": None, "after_key": None, "limit": 51}
        with psycopg.ClientCursor(sql) as cursor:
            plan = "\n".join(line for (line,) in cursor.execute(b"EXPLAIN " + queries.GET_BOARD, params))
    assert "applications_stage" in plan
    assert "Seq Scan on applications" not in plan
