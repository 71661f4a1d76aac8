"""The same events through `make invoke`, the Chalice gateway, `chalice.test.Client` and LocalStack's Lambda.

Each way has a world of its own, made alike, and is given the same events in the same order; what it answers is
compared with ids, times, names and links taken out.
"""

import base64
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import msgspec
import pytest
from chalice.test import Client

from infra import template_map
from infra.chalice.app import app
from infra.local.environment import Environment
from infra.local.event import answer_of
from infra.local.invoke import event_from, moved
from infra.localstack import functions
from infra.template_map import Function
from tests.integration.visibility.world import Owned, made
from tests.support.http import front_door

ROUTES = sorted(
    (route for route in template_map.routes() if not route.is_alias), key=lambda route: route.path.endswith("/logout")
)
"""Who has signed out is answered nothing more."""
OTHERS = [each for each in template_map.functions() if each not in [route.function for route in ROUTES]]
SAMPLE_ID = re.compile(r"0{8}-0000-7000-8000-\d{12}")
TAKEN_OUT = (
    (re.compile(r"https?://[^\"\s]+/(media|uploads)/[^\"\s]*"), "<link>"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "<time>"),
    (re.compile(r"\b[a-z_]+_[0-9a-f]{8,}\b"), "<name>"),
    (re.compile(r"\b(caption|comment|reply|message)-[0-9a-f]{8}\b"), "<text>"),
    (re.compile(r"\"(\w+M[sB]|uptime)\":[\d.]+"), "<measure>"),
    (re.compile(r"\"(nextCursor|lastId|sessionId)\":\"[^\"]+\""), "<cursor>"),
)
OF_EACH_ANSWER = {"x-trace-id", "ratelimit-remaining", "ratelimit-reset", "content-length", "date"}

type Told = tuple[int, dict[str, str], str]
type Way = Callable[[Function, dict[str, Any]], Told]


def _invoked(function: Function, event: dict[str, Any]) -> Told:
    return _told(Environment(function).invoke(event))


def _in_lambda(function: Function, event: dict[str, Any]) -> Told:
    outcome = functions.invoke(function, event)
    assert outcome.error is None, outcome
    return _told(outcome.payload)


def _through_the_gateway(_: Function, event: dict[str, Any]) -> Told:
    answer = httpx.request(
        event["httpMethod"],
        f"{front_door()}{_target(event)}",
        headers=event["headers"],
        content=_body(event),
        timeout=30,
    )
    return _plain(answer.status_code, answer.headers, answer.content)


def _through_chalices_client(_: Function, event: dict[str, Any]) -> Told:
    with Client(app) as client:
        answer = client.http.request(
            event["httpMethod"], _target(event), headers=dict(event["headers"]), body=_body(event)
        )
    return _plain(answer.status_code, answer.headers, answer.body)


WAYS: Mapping[str, Way] = {
    "lambda": _in_lambda,
    "gateway": _through_the_gateway,
    "chalice": _through_chalices_client,
}


def _target(event: Mapping[str, Any]) -> str:
    questions = event.get("multiValueQueryStringParameters")
    return quote(event["path"]) + (f"?{urlencode(questions, doseq=True)}" if questions else "")


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()


def _told(reply: Mapping[str, Any]) -> Told:
    status, headers, body = answer_of(reply)
    return _plain(status, dict(headers), body)


def _plain(status: int, headers: Mapping[str, str], body: bytes) -> Told:
    """What two worlds answer alike."""
    text = body.decode()
    named = {name.lower(): value for name, value in headers.items()}
    for pattern, stand_in in TAKEN_OUT:
        text = pattern.sub(stand_in, text)
        named = {name: pattern.sub(stand_in, value) for name, value in named.items()}
    if "set-cookie" in named:
        named["set-cookie"] = re.sub(r"session_id=[^;]+", "session_id=<session>", named["set-cookie"])
    return status, {name: value for name, value in named.items() if name not in OF_EACH_ANSWER}, text


def _event(function: Function, world: Owned) -> dict[str, Any]:
    """The sample event, about what there is in this world and signed in as its owner."""
    event = event_from(None, function)
    neighbour, message = str(world.neighbour.id), str(world.message_id)
    ids = {
        "post_id": str(world.post_id),
        "comment_id": str(world.comment_id),
        "story_id": str(world.story_id),
        "conversation_id": str(world.conversation_id),
        "message_id": message,
        "user": neighbour,
    }
    variables = event["pathParameters"] or {}
    event = moved(event, {name: ids[name] for name in variables})
    if event["body"] and not event["isBase64Encoded"]:
        of_messages = function.name in ("messages/mark_read", "messages/send_message")
        event["body"] = SAMPLE_ID.sub(message if of_messages else neighbour, event["body"])
    if function.name == "auth/login":
        event["body"] = json.dumps({"username": world.owner.username, "password": "not the right one"})
    address = f"192.0.2.{secrets.randbelow(256)}"  # logins are counted by it
    headers = {
        **event["headers"],
        "cookie": f"session_id={world.owner.session_id}",
        "x-forwarded-for": address,
    }
    event["requestContext"]["identity"]["sourceIp"] = address
    return {**event, "headers": headers, "multiValueHeaders": {name: [value] for name, value in headers.items()}}


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> Iterator[tuple[Way, Owned, Owned]]:
    """A way to call functions, with a world for it and another one for `make invoke`."""
    return WAYS[request.param], made("public", {}), made("public", {})


@pytest.mark.parametrize("function", [route.function for route in ROUTES], ids=lambda function: function.name)
def test_a_request_is_answered_alike(way: tuple[Way, Owned, Owned], function: Function) -> None:
    ask, world, other = way
    status, headers, body = _invoked(function, _event(function, other))

    found = ask(function, _event(function, world))

    assert (found[0], found[2]) == (status, body)
    assert {name: found[1].get(name) for name in headers} == headers


@pytest.mark.parametrize("function", OTHERS, ids=lambda function: function.name)
def test_an_event_of_another_source_has_the_same_outcome(function: Function) -> None:
    event = event_from(None, function)
    if function.name.startswith("live/"):
        event["requestContext"]["connectionId"] = "parity="
    invoked = json.loads(msgspec.json.encode(Environment(function).invoke(event), enc_hook=str))
    outcome = functions.invoke(function, event)

    assert outcome.error is None, outcome
    assert _without_counts(outcome.payload) == _without_counts(invoked)


def _without_counts(result: Any) -> Any:
    """How many there were to clear away is another number the second time."""
    return sorted(result) if isinstance(result, dict) else type(result)
