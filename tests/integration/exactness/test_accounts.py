"""No foreign page writes for a signed-in account, and logins do not show which usernames exist."""

import importlib
from uuid import UUID

import pytest

from functions.auth import login
from infra import template_map
from layers.core import passwords
from layers.core.settings import settings
from layers.entrypoints import cors
from tests.integration.exactness import rows
from tests.integration.exactness.changes import CHANGES, PASSWORD, Change
from tests.support.calls import call, sample
from tests.support.people import Person

each_way = pytest.mark.parametrize("way", CHANGES)
GET_ROUTES = [route for route in template_map.routes() if route.method not in cors.UNSAFE_METHODS]


@pytest.fixture(autouse=True)
def _unlimited(unlimited: None) -> None:
    """These tests are not about limits."""


def _own() -> list[str]:
    return f"{settings().own_origins},{settings().allowed_origins}".split(",")


def _foreign() -> list[str]:
    own = _own()[0]
    host = own.removeprefix("http://")
    alike = [f"{own}0", f"{own}.evil.example", f"https://{host}", f"http://evil.example/{host}", f"http://x@{host}"]
    return ["https://evil.example", "null", "", "*", "http://localhost", *alike]


def _rows(change: Change) -> list[str]:
    ids = [id_ for id_ in change.path.values() if isinstance(id_, UUID)]
    return rows.about(*ids, *([change.person.id] if change.person else []))


@each_way
def test_a_foreign_page_changes_nothing_on_any_unsafe_route(way: str) -> None:
    change = CHANGES[way]()
    before = _rows(change)
    replies = [change.send(headers={"Origin": origin}) for origin in _foreign()]

    assert {reply.status for reply in replies} == {403}
    assert _rows(change) == before
    for reply in replies:
        assert reply.json["error"]
        assert not {"access-control-allow-origin", "set-cookie"} & set(reply.headers)
    assert change.send(headers={"Origin": _own()[0]}).status < 300  # a registration too: its name is still free


@each_way
def test_pages_of_accepted_origins_may_write_and_read_the_answer(way: str) -> None:
    for origin in _own():
        reply = CHANGES[way]().send(headers={"Origin": origin})

        assert reply.status < 300, reply.body
        assert reply.headers["access-control-allow-origin"] == origin
        assert reply.headers["access-control-allow-credentials"] == "true"
        assert reply.headers["vary"] == "Origin"


@pytest.mark.parametrize("route", GET_ROUTES, ids=lambda route: route.path)
def test_a_foreign_page_may_ask_but_not_read(route: template_map.Route, admin: Person) -> None:
    module = importlib.import_module(route.function.handler.rpartition(".")[0])
    asked = [
        call(module, session_id=admin.session_id, path=sample(module)["pathParameters"], headers=headers)
        for headers in (None, {"Origin": "https://evil.example"})
    ]

    assert asked[0].status == asked[1].status != 403
    assert not [name for name in asked[1].headers if name.startswith("access-control-")]


@pytest.mark.rule("R-A6")
def test_an_unknown_user_takes_the_same_hashing_as_a_wrong_password(unlimited: None) -> None:
    passwords._placeholder_hash.cache_clear()
    known = CHANGES["auth/login"]()
    assert known.send({"password": "wrong one"}).status == 401

    assert passwords._placeholder_hash.cache_info().currsize == 1  # made by the first attempt, of a known user or not
    assert passwords._placeholder_hash().split("$")[:4] == passwords.hash_password(PASSWORD).split("$")[:4]


@pytest.mark.rule("R-A6")
def test_no_password_matches_the_hash_that_stands_for_unknown_users() -> None:
    for password in ("", "!", PASSWORD):
        assert call(login, body={"username": "nobody_at_all", "password": password}).status == 401
