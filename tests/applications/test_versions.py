"""Versions: nobody overwrites what they have not seen, and nobody is sent again what they have."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.applications.test_update_application import path_of
from tests.conftest import Person

GARBAGE = ["", "1", "abc", '"abc"', '"1', "'1'", '"01"', '"+1"', '"0"', '"-1"', '"1.0"', '"99999999999999999999"', '""']
THREADS = 16


def change(person: Person, application: dict[str, Any], if_match: str, **fields: Any) -> httpx.Response:
    return person.patch(path_of(application), fields or {"notes": "changed"}, headers={"If-Match": if_match})


# ---------------------------------------------------------------- If-Match


@pytest.mark.parametrize("if_match", ['"1"', "*", '"7", "1"', '"1","2"', '"nonsense", "1"', ' "1" '])
def test_a_change_to_the_present_version_is_made(writer: Person, if_match: str) -> None:
    changed = change(writer, writer.create_application(), if_match.strip())
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')


@pytest.mark.parametrize("if_match", ['"1"', '"1", "3"', '"999999999"', 'W/"2"', *GARBAGE])
def test_a_change_to_another_version_is_refused_with_the_present_one(writer: Person, if_match: str) -> None:
    application = writer.create_application()
    present = writer.patch(path_of(application), {"notes": "first"}).json()
    for refused in (
        change(writer, application, if_match),
        writer.delete(path_of(application), headers={"If-Match": if_match}),
    ):
        problem = refused.json()
        assert (refused.status_code, problem["code"], problem["version"]) == (412, "stale_version", 2)
    assert writer.get(path_of(application)).json() == present


def test_what_cannot_be_found_has_no_version_to_be_stale(writer: Person) -> None:
    gone = writer.create_application()
    writer.delete(path_of(gone))
    assert change(writer, gone, '"1"').status_code == 404
    assert writer.delete(path_of(gone), headers={"If-Match": '"1"'}).status_code == 404


@pytest.mark.parametrize("if_match", ['"2"', "*", '"1", "2"'])
def test_the_present_version_can_be_deleted(writer: Person, if_match: str) -> None:
    application = writer.create_application()
    writer.patch(path_of(application), {"notes": "second"})
    assert writer.delete(path_of(application), headers={"If-Match": if_match}).status_code == 204
    assert writer.get(path_of(application)).status_code == 404


def test_a_change_of_nothing_wants_the_present_version_too(writer: Person) -> None:
    application = writer.create_application()
    assert writer.patch(path_of(application), {}, headers={"If-Match": '"1"'}).status_code == 200
    assert writer.patch(path_of(application), {}, headers={"If-Match": '"2"'}).status_code == 412


# ---------------------------------------------------------------- If-None-Match


@pytest.mark.parametrize("if_none_match", ['"1"', 'W/"1"', "*", '"7", "1"', '"nonsense",W/"1"'])
def test_a_reader_who_has_the_present_version_is_not_sent_it_again(writer: Person, if_none_match: str) -> None:
    application = writer.create_application()
    unchanged = writer.get(path_of(application), headers={"If-None-Match": if_none_match})
    assert (unchanged.status_code, unchanged.headers["etag"], unchanged.content) == (304, '"1"', b"")


@pytest.mark.parametrize("if_none_match", ['"2"', 'W/"2"', "1", 'w/"1"', *GARBAGE])
def test_a_reader_who_has_another_version_is_sent_this_one(writer: Person, if_none_match: str) -> None:
    application = writer.create_application()
    read = writer.get(path_of(application), headers={"If-None-Match": if_none_match})
    assert (read.status_code, read.json()) == (200, application)


def test_a_version_stays_the_same_until_something_changes(writer: Person) -> None:
    path = path_of(writer.create_application())
    assert {writer.get(path).headers["etag"] for _ in range(3)} == {'"1"'}


# ---------------------------------------------------------------- at the same time


def test_of_sixteen_changes_to_one_version_one_is_made(writer: Person) -> None:
    application = writer.create_application()
    with ThreadPoolExecutor(THREADS) as threads:
        answers = list(threads.map(lambda n: change(writer, application, '"1"', notes=str(n)), range(THREADS)))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * (THREADS - 1)
    (winner,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert writer.get(path_of(application)).json() == winner
    assert winner["version"] == 2


def test_of_sixteen_changes_that_name_no_version_none_is_lost(writer: Person) -> None:
    application = writer.create_application()
    fields: list[dict[str, Any]] = [{"notes": str(n)} if n % 2 else {"location": str(n)} for n in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as threads:
        answers = list(threads.map(lambda change: writer.patch(path_of(application), change), fields))
    assert sorted(answer.json()["version"] for answer in answers) == list(range(2, THREADS + 2))
    last = max((answer.json() for answer in answers), key=lambda document: document["version"])
    assert writer.get(path_of(application)).json() == last
    assert last["notes"] is not None
    assert last["location"] is not None


def test_of_a_change_and_a_deletion_of_one_version_one_is_made(writer: Person) -> None:
    for _ in range(8):
        application = writer.create_application()
        with ThreadPoolExecutor(2) as threads:
            changed = threads.submit(change, writer, application, '"1"')
            deleted = threads.submit(writer.delete, path_of(application), headers={"If-Match": '"1"'})
        outcome = (changed.result().status_code, deleted.result().status_code)
        assert outcome in ((200, 412), (404, 204))
        assert writer.get(path_of(application)).status_code == (200 if outcome == (200, 412) else 404)
