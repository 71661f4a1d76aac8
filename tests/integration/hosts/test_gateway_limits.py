"""Unknown routes, wrong methods and preflights are limited and counted like every request (R-L6)."""

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client import REGISTRY

from infra.chalice.app import app
from infra.events.rest import build_event, find_resource
from layers.core import limits
from layers.core.settings import settings
from tests.support.people import Person


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Set the limit `general`."""

    def limit(requests: int) -> None:
        monkeypatch.setenv("RATE_LIMITS", json.dumps({"general": [requests, 60]}))
        _forget()

    yield limit
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    settings.cache_clear()
    limits._configured.cache_clear()


def _ask(method: str, path: str, address: str, *, session_id: str = "", **headers: str) -> dict[str, Any]:
    found = find_resource(path)
    cookie = [("cookie", f"session_id={session_id}")] if session_id else []
    reply: dict[str, Any] = app(
        build_event(
            method=method,
            path=path,
            resource=found[0].path if found else path,
            variables=found[1] if found else {},
            query="",
            headers=[*cookie, *((name.replace("_", "-"), value) for name, value in headers.items())],
            body=b"",
            peer=address,
        ),
        None,
    )
    return reply


@pytest.fixture
def address() -> str:
    """An address that no other test uses."""
    return f"2001:db8::{secrets.token_hex(2)}:{secrets.token_hex(2)}"


REQUESTS = {("GET", "/api/v1/nothing/here"): 404, ("PATCH", "/api/v1/feed"): 405, ("OPTIONS", "/api/v1/feed"): 204}

each_request = pytest.mark.parametrize(("method", "path"), REQUESTS)


@pytest.mark.rule("R-L6")
@each_request
def test_they_are_limited_by_address(method: str, path: str, address: str, limited: Callable[[int], None]) -> None:
    limited(2)
    status = REQUESTS[method, path]
    origin = settings().allowed_origins.split(",")[0]
    replies = [_ask(method, path, address, origin=origin) for _ in range(3)]

    assert [reply["statusCode"] for reply in replies] == [status, status, 429]
    assert [reply["headers"]["ratelimit-policy"] for reply in replies] == ["2;w=60"] * 3
    assert replies[2]["headers"]["retry-after"]
    assert _ask(method, path, address + "0")["statusCode"] == status


@pytest.mark.rule("R-L6")
@each_request
def test_they_are_limited_by_user_where_there_is_a_session(
    method: str, path: str, ada: Person, address: str, limited: Callable[[int], None]
) -> None:
    limited(2)
    status = REQUESTS[method, path]
    statuses = [
        _ask(method, path, f"{address}{number}", session_id=ada.session_id)["statusCode"] for number in range(3)
    ]

    assert statuses == [status, status, 429]


@pytest.mark.rule("R-L6")
@each_request
def test_they_are_counted_in_the_metrics(method: str, path: str, address: str) -> None:
    status = REQUESTS[method, path]

    def count() -> float:
        labels = {
            "method": method,
            "route": "(unknown)" if status == 404 else path,
            "status_code": str(status),
        }
        return REGISTRY.get_sample_value("instagram_http_requests_total", labels) or 0

    before = count()
    _ask(method, path, address)

    assert count() == before + 1


def test_a_wrong_method_names_the_right_ones(address: str) -> None:
    reply = _ask("PATCH", "/api/v1/feed", address)

    assert reply["headers"]["allow"] == "GET, HEAD, OPTIONS"
    assert json.loads(reply["body"])["error"]
