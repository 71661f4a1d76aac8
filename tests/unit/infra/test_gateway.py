"""The Chalice application: what handlers get, and what clients get."""

import json
from typing import Any

import pytest

from infra.chalice.app import Gateway
from infra.events.rest import build_event
from infra.template_map import Function, Route


def _route(name: str, method: str, path: str, handler: str = "handler") -> Route:
    function = Function(
        logical_id=name.title(),
        name=f"tests/{name}",
        handler=f"tests.unit.infra.echo.{handler}",
        layers=("core",),
        timeout_seconds=7,
        memory_mb=512,
        is_heavy=False,
        events={},
    )
    return Route(method=method, path=path, function=function, is_alias=False)


@pytest.fixture
def gateway() -> Gateway:
    """A gateway with the functions of echo.py."""
    return Gateway(
        [
            _route("echo", "GET", "/echo/{name}"),
            _route("posted", "POST", "/echo/{name}"),
            _route("picture", "GET", "/picture", "picture"),
            _route("broken", "GET", "/broken", "broken"),
            _route("missing", "GET", "/missing", "there_is_no_such_handler"),
        ]
    )


def _ask(gateway: Gateway, method: str, path: str, resource: str = "", **given: Any) -> dict[str, Any]:
    request: dict[str, Any] = {"query": "", "headers": [], "body": b"", "peer": "192.0.2.9", "variables": {}}
    reply: dict[str, Any] = gateway(
        build_event(method=method, path=path, resource=resource or path, **{**request, **given}), None
    )
    return reply


def test_a_handler_gets_the_unchanged_event_and_a_context(gateway: Gateway) -> None:
    event = build_event(
        method="POST",
        path="/echo/a b",
        resource="/echo/{name}",
        variables={"name": "a b"},
        query="x=1&x=2",
        headers=[("content-type", "text/csv"), ("cookie", "session_id=s")],
        body=b"a,b",
        peer="192.0.2.9",
    )
    answer = json.loads(gateway(event, None)["body"])

    assert answer["event"] == event
    assert answer["function"] == "Posted"
    assert 6000 < answer["remaining_ms"] <= 7000


def test_a_reply_is_returned_unchanged(gateway: Gateway) -> None:
    reply = _ask(gateway, "GET", "/picture", headers=[("accept", "text/html")])

    assert reply["body"] == "iVBORw=="
    assert reply["isBase64Encoded"] is True
    assert reply["multiValueHeaders"] == {"set-cookie": ["a=1", "b=2"]}


def test_head_reaches_the_handler_as_get(gateway: Gateway) -> None:
    reply = _ask(gateway, "HEAD", "/echo/x", "/echo/{name}", variables={"name": "x"})

    assert (reply["statusCode"], reply["body"]) == (200, "")


@pytest.mark.parametrize(
    ("method", "path", "resource", "status"),
    [
        ("GET", "/nowhere", "", 404),
        ("OPTIONS", "/nowhere", "", 404),
        ("GET", "/{level_1}", "/{level_1}", 404),
        ("DELETE", "/echo/x", "/echo/{name}", 405),
        ("HEAD", "/nowhere", "", 404),
        ("GET", "/broken", "", 500),
        ("GET", "/missing", "", 500),
    ],
)
def test_refusals_are_problem_documents(gateway: Gateway, method: str, path: str, resource: str, status: int) -> None:
    reply = _ask(gateway, method, path, resource, headers=[("x-trace-id", "seen")])
    problem = json.loads(reply["body"])

    assert reply["statusCode"] == problem["status"] == status
    assert problem["error"] == problem["detail"] != ""
    assert reply["headers"]["content-type"] == "application/problem+json"
    assert reply["headers"]["x-trace-id"] == "seen"
    assert reply["headers"]["cache-control"] == "no-store"
    assert "secret" not in reply["body"]
    assert "Traceback" not in reply["body"]


def test_a_page_of_an_accepted_origin_may_read_refusals(gateway: Gateway) -> None:
    reply = _ask(gateway, "GET", "/nowhere", headers=[("origin", "http://localhost:5173")])

    assert reply["headers"]["access-control-allow-origin"] == "http://localhost:5173"


def test_developers_see_why_a_handler_cannot_be_loaded(gateway: Gateway) -> None:
    gateway.shows_tracebacks = True

    assert "AttributeError" in json.loads(_ask(gateway, "GET", "/missing")["body"])["detail"]


def test_405_names_the_methods(gateway: Gateway) -> None:
    reply = _ask(gateway, "PATCH", "/echo/x", "/echo/{name}", variables={"name": "x"})

    assert reply["headers"]["allow"] == "GET, HEAD, OPTIONS, POST"
