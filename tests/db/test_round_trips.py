"""Round trips, counted on the wire: the database may be in another cloud, where each one is milliseconds."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from shared.routes import Route
from shared.security.random_tokens import feed_tokens
from tests.conftest import PASSWORD, Client, Person
from tests.db import walk
from tests.db.wire import Wire, wire_to

# What a call may cost when it succeeds. Only signing in asks twice: a password, or a signature, is verified in between.
from tests.identities.provider import Provider, Reply
from tests.passkeys import ceremonies
from tests.passkeys.authenticator import Authenticator
from tests.processes import AppProcess

# What a call may cost when it succeeds. Login asks twice, since the password is verified in
# between, and who comes back from a provider, since that is asked in between.
# What a call may cost when it succeeds. Who asks twice computes in between: login verifies a password, and so does a
# change of it; a reset hashes the new one for a good token only; a new link is sealed for the address that was read.
BUDGETS = {
    "get_health": 0,
    "get_readiness": 1,
    "get_openapi": 0,
    "get_reference": 0,
    "register": 1,
    "login": 2,
    "refresh": 1,
    "logout": 1,
    "logout_all": 1,
    "verify_email": 1,
    "resend_verification": 2,
    "forgot_password": 1,
    "reset_password": 2,
    "change_password": 2,
    "change_email": 1,
    "list_sessions": 1,
    "revoke_session": 1,
    "get_status": 1,
    "verify_token": 1,
    "get_jwt_info": 1,
    "list_tokens": 1,
    "create_token": 1,
    "revoke_token": 1,
    "get_jwks": 0,
    "begin_passkey_login": 1,
    "login_with_passkey": 2,
    "begin_passkey_registration": 1,
    "register_passkey": 1,
    "list_passkeys": 1,
    "rename_passkey": 1,
    "delete_passkey": 1,
    "finish_login": 2,
    "reauthenticate": 2,
    "get_factors": 1,
    "offer_totp": 1,
    "enable_totp": 2,
    "disable_totp": 1,
    "replace_recovery_codes": 1,
    "start_oauth": 1,
    "finish_oauth": 2,
    "list_identities": 1,
    "link_identity": 1,
    "unlink_identity": 1,
    "get_profile": 1,
    "update_profile": 1,
    "list_applications": 1,
    "create_application": 1,
    "get_application": 1,
    "update_application": 1,
    "delete_application": 1,
    "move_application": 1,
    "capture_application": 1,
    "list_shares": 1,
    "create_share": 1,
    "revoke_share": 1,
    "open_share": 1,
    "get_summary": 1,
    "get_weekly_activity": 1,
    "get_funnel": 1,
    "compare_sources": 1,
    "get_time_in_stage": 1,
    "list_quiet_applications": 1,
    "draw_sankey": 1,
    "list_interviews": 1,
    "list_application_interviews": 1,
    "create_interview": 1,
    "get_interview": 1,
    "update_interview": 1,
    "delete_interview": 1,
    "list_tasks": 1,
    "create_task": 1,
    "get_task": 1,
    "update_task": 1,
    "delete_task": 1,
    "list_application_tasks": 1,
    "create_application_task": 1,
    "get_application_task": 1,
    "update_application_task": 1,
    "delete_application_task": 1,
    "get_calendar_feed": 1,
    "create_calendar_feed": 1,
    "revoke_calendar_feed": 1,
    "read_calendar": 1,
    "list_stages": 1,
    "create_stage": 1,
    "get_stage": 1,
    "update_stage": 1,
    "retire_stage": 1,
    "list_events": 1,
    "create_event": 1,
    "get_event": 1,
    "update_event": 1,
    "delete_event": 1,
    "get_board": 1,
    "place_application": 1,
    "list_files": 1,
    "upload_file": 2,  # announced before it goes to the store, accepted after
    "begin_upload": 1,
    "complete_upload": 2,  # in between it is read back
    "get_file": 1,
    "update_file": 1,
    "delete_file": 1,
    "get_file_content": 1,
    "receive_content": 0,
    "list_application_files": 1,
    "link_file": 1,
    "unlink_file": 1,
    "list_companies": 1,
    "create_company": 1,
    "get_company": 1,
    "update_company": 1,
    "delete_company": 1,
    "list_contacts": 1,
    "create_contact": 1,
    "get_contact": 1,
    "update_contact": 1,
    "delete_contact": 1,
    "list_application_contacts": 1,
    "link_contact": 1,
    "get_application_contact": 1,
    "update_contact_link": 1,
    "unlink_contact": 1,
    "list_notes": 1,
    "create_note": 1,
    "get_note": 1,
    "update_note": 1,
    "delete_note": 1,
    "list_note_revisions": 1,
    "list_trash": 1,
    "empty_trash": 1,
    "delete_trash": 1,
    "restore_trash": 1,
    "change_applications": 1,
    "list_duplicates": 1,
    "merge_applications": 1,
    "list_tags": 1,
    "create_tag": 1,
    "get_tag": 1,
    "update_tag": 1,
    "delete_tag": 1,
    "list_saved_views": 1,
    "create_saved_view": 1,
    "get_saved_view": 1,
    "update_saved_view": 1,
    "delete_saved_view": 1,
    "export_applications": 1,
    "import_applications": 1,
    "list_imports": 1,
    "undo_import": 1,
    "list_quotas": 1,
    "get_quota": 1,
    "consume_quota": 1,
    "reserve_quota": 1,
    "commit_reservation": 1,
    "release_reservation": 1,
    "list_activity": 1,
    "search_users": 1,
    "get_user": 1,
    "change_user": 1,
    "end_sessions": 1,
    "grant_quota": 1,
    "restore_quota": 1,
    "search_events": 1,
    "get_metrics": 1,
    "export_account": 1,
    "delete_account": 1,
    "restore_account": 1,
}


class Meter:
    """An app whose way to the database is metered."""

    def __init__(self, wire: Wire, url: str) -> None:
        self.wire = wire
        self.url = url

    def cost(self, call: Callable[..., httpx.Response], *arguments: Any, status: int, **options: Any) -> int:
        """The round trips of a call that is answered with ``status``."""
        before = self.wire.round_trips
        answer = call(*arguments, **options)
        assert answer.status_code == status, answer.text
        return self.wire.round_trips - before


@pytest.fixture(scope="module")
def meter(database_url: str, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meter]:
    """A metered app that has a connection already."""
    with wire_to(database_url) as wire:
        process = AppProcess(environment | {"DATABASE_URL": wire.url}, tmp_path_factory.mktemp("metered") / "app.log")
        try:
            httpx.get(f"{process.url}/health/ready").raise_for_status()
            yield Meter(wire, process.url)
        finally:
            process.stop()


@pytest.fixture
def somebody(meter: Meter, new_person: Callable[..., Person]) -> Person:
    return new_person(meter.url)


def test_the_meter_counts_each_question_to_the_server(wire: Wire) -> None:
    with psycopg.connect(wire.url, autocommit=True) as connection:
        assert wire.round_trips == 0
        connection.execute("SELECT 1; SELECT 2")
        assert wire.round_trips == 1
        with connection.transaction():  # BEGIN, the statement with its parameter, COMMIT
            connection.execute("SELECT %s", [3])
        assert wire.round_trips == 4


def with_another_seal(token: str) -> str:
    """The token with one letter changed near its end, where the signature is."""
    return f"{token[:-3]}{'A' if token[-3] != 'A' else 'B'}{token[-2:]}"


def test_every_route_keeps_to_its_budget(
    wire: Wire,
    start_app: Callable[..., str],
    routes: list[Route],
    new_admin: Callable[[str], Person],
    new_person: Callable[..., Person],
) -> None:
    meter = Meter(wire, start_app(DATABASE_URL=wire.url))
    spent = {}
    for route in routes:
        person = (new_person if route.name in walk.NEWCOMERS else new_admin)(meter.url)
        visit = walk.visit(route, person)
        spent[route.name] = meter.cost(visit.by, person, status=route.endpoint.status)
    assert spent == BUDGETS
    assert wire.connections == 1


def test_a_new_connection_asks_nothing_of_its_own(
    wire: Wire, start_app: Callable[..., str], client: Client, person: Person
) -> None:
    meter = Meter(wire, start_app(DATABASE_URL=wire.url))
    same_person = Person(meter.url, dict(person.headers))
    assert wire.connections == 0, "connected before anybody asked for anything"
    assert [meter.cost(same_person.get, "/api/profile", status=200) for _ in range(5)] == [1] * 5
    assert wire.connections == 1
    same_person.close()


def test_who_comes_back_from_a_provider_costs_one_if_it_began_nothing_and_two_if_it_is_refused(
    meter: Meter, oauth_provider: Provider
) -> None:
    stranger = Person(meter.url)
    callback = "/api/auth/oauth/google/callback"
    assert meter.cost(stranger.get, f"{callback}?code=a&state=b", status=400) == 0, "no cookie"
    way = callback + walk.person_at_a_provider(stranger, stranger.get("/api/auth/oauth/google/start"))
    assert meter.cost(stranger.get, f"{callback}?code=a&state=b", status=400) == 1
    with oauth_provider.answering(token=Reply(b"{}", 500)):
        assert meter.cost(stranger.get, way, status=503) == 2
    stranger.close()


def test_a_forged_access_token_costs_nothing_anywhere(meter: Meter, somebody: Person, routes: list[Route]) -> None:
    forged = f"Bearer {with_another_seal(somebody.tokens['access_token'])}"
    spent = {}
    for route in (route for route in routes if route.endpoint.access.needs_caller):
        visit = walk.visit(route, somebody, names=lambda _: str(uuid4()))
        spent[route.name] = meter.cost(visit.by, somebody, headers={"Authorization": forged}, status=401)
    assert len(spent) > 10
    assert spent == dict.fromkeys(spent, 0)


def test_who_is_not_signed_in_costs_nothing_anywhere(meter: Meter, client: Client, routes: list[Route]) -> None:
    stranger = Person(meter.url)
    for route in (route for route in routes if route.endpoint.access.needs_caller):
        visit = walk.visit(route, stranger, names=lambda _: str(uuid4()))
        assert meter.cost(visit.by, stranger, status=401) == 0, route.name
    stranger.close()


def test_a_token_of_a_session_that_has_ended_costs_one(meter: Meter, somebody: Person) -> None:
    somebody.post("/api/auth/logout-all", {})
    assert meter.cost(somebody.get, "/api/profile", status=401) == 1


def test_a_refresh_costs_one_and_so_does_its_repetition(meter: Meter, somebody: Person) -> None:
    presented = {"refresh_token": somebody.refresh_token}
    assert meter.cost(somebody.post, "/api/auth/refresh", presented, status=200) == 1
    assert meter.cost(somebody.post, "/api/auth/refresh", presented, status=200) == 1


def test_a_refresh_token_that_was_stolen_costs_one(meter: Meter, somebody: Person) -> None:
    stolen = somebody.refresh_token
    for _ in range(2):
        somebody.bear(somebody.post("/api/auth/refresh", {"refresh_token": somebody.refresh_token}).json())
    assert meter.cost(somebody.post, "/api/auth/refresh", {"refresh_token": stolen}, status=401) == 1


def test_a_forged_refresh_token_costs_nothing(meter: Meter, somebody: Person) -> None:
    for token in (with_another_seal(somebody.refresh_token), "jtr_", "x"):
        assert meter.cost(somebody.post, "/api/auth/refresh", {"refresh_token": token}, status=401) == 0
        assert meter.cost(somebody.post, "/api/auth/logout", {"refresh_token": token}, status=401) == 0


@pytest.mark.parametrize("email", ["{known}", "nobody@example.com"])
def test_a_failed_login_costs_what_a_good_one_does_whether_or_not_there_is_an_account(
    meter: Meter, somebody: Person, email: str
) -> None:
    wrong = {"email": email.format(known=somebody.email), "password": "not the password"}
    assert meter.cost(somebody.post, "/api/auth/login", wrong, status=401) == BUDGETS["login"]


def test_a_passkey_that_is_refused_costs_what_a_good_one_does_known_or_not(meter: Meter, somebody: Person) -> None:
    authenticator, _ = ceremonies.new_passkey(somebody)
    options = [ceremonies.request_options(Client(meter.url)) for _ in range(3)]
    stranger = Authenticator(user_handle=authenticator.user_handle)
    for credential in (
        authenticator.get(options[0], rp_id="evil.example"),
        stranger.get(options[1]),
        authenticator.get(options[2], challenge="made-up"),
        authenticator.get(options[2], challenge=None),
    ):
        body = {"credential": credential}
        assert meter.cost(somebody.post, "/api/auth/passkeys/login", body, status=401) == 2


def test_a_passkey_that_is_not_registered_costs_one(meter: Meter, somebody: Person) -> None:
    body = {"credential": Authenticator().create(ceremonies.creation_options(somebody), rp_id="evil.example")}
    assert meter.cost(somebody.post, "/api/auth/passkeys/register", body, status=422) == 1


def test_a_registration_that_is_refused_costs_one(meter: Meter, somebody: Person) -> None:
    again = {"email": somebody.email, "password": PASSWORD}
    assert meter.cost(somebody.post, "/api/auth/register", again, status=409) == 1


def test_a_create_that_may_be_repeated_costs_one_and_its_repetition_too(meter: Meter, somebody: Person) -> None:
    draft, key = {"company": "Contoso", "position": "Engineer"}, {"Idempotency-Key": str(uuid4())}
    assert meter.cost(somebody.post, "/api/applications", draft, headers=key, status=201) == 1
    assert meter.cost(somebody.post, "/api/applications", draft, headers=key, status=201) == 1
    assert len(somebody.get("/api/applications").json()["items"]) == 1


def test_a_refusal_costs_what_success_does(meter: Meter, somebody: Person) -> None:
    place = f"/api/applications/{somebody.create_application()['id']}"
    change, consumption = {"notes": "They called."}, {"units": 1_000_000}
    assert meter.cost(somebody.get, f"/api/applications/{uuid4()}", status=404) == 1
    assert meter.cost(somebody.patch, place, change, headers={"If-Match": '"7"'}, status=412) == 1
    assert meter.cost(somebody.delete, place, headers={"If-Match": '"7"'}, status=412) == 1
    assert meter.cost(somebody.patch, place, {"salary_min": 1}, status=422) == 1  # only a constraint knows
    assert meter.cost(somebody.post, f"/api/quotas/{walk.METRIC}/consume", consumption, status=429) == 1


def test_a_bad_body_costs_the_question_whether_the_session_lives(meter: Meter, somebody: Person) -> None:
    assert meter.cost(somebody.post, "/api/applications", {"company": 7}, status=422) == 1
    assert meter.cost(somebody.post, "/api/applications", content=b"{", status=415) == 1
    assert meter.cost(somebody.get, "/api/applications?limit=0", status=422) == 1


def test_a_bad_body_of_nobody_costs_nothing(meter: Meter) -> None:
    stranger = Client(meter.url)
    assert meter.cost(stranger.post, "/api/auth/register", {"email": "x"}, status=422) == 0
    assert meter.cost(stranger.post, "/api/auth/login", {}, status=422) == 0
    stranger.close()


def test_what_no_route_takes_costs_nothing(meter: Meter, somebody: Person) -> None:
    assert meter.cost(somebody.get, "/api/nothing", status=404) == 0
    assert meter.cost(somebody.get, "/", status=404) == 0
    assert meter.cost(somebody, "PUT", "/api/profile", {}, status=405) == 0


def test_an_address_that_no_feed_can_have_costs_nothing_and_one_that_none_has_costs_one(meter: Meter) -> None:
    stranger = Client(meter.url)
    assert meter.cost(stranger.get, "/api/calendar/jtf_made-up.ics", status=404) == 0
    assert meter.cost(stranger.get, f"/api/calendar/{feed_tokens.issue()}.ics", status=404) == 1
    stranger.close()


def test_readiness_is_asked_once_and_then_remembered(wire: Wire, start_app: Callable[..., str]) -> None:
    meter = Meter(wire, start_app(DATABASE_URL=wire.url))
    watcher = Client(meter.url)
    assert [meter.cost(watcher.get, "/health/ready", status=200) for _ in range(3)] == [1, 0, 0]
    watcher.close()
