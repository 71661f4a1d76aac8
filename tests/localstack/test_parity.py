"""The same events through `make invoke`, the Chalice gateway, `chalice.test.Client` and LocalStack's Lambda.

Each way has its own accounts and posts, created in the same way, and gets the same events in the same order. The
answers are compared after ids, times, names and links have been replaced.
"""

import json
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import msgspec
import pytest
from chalice.test import Client

from infra import template_map
from infra.chalice.app import app
from infra.environments.in_process import InProcessEnvironment
from infra.invoke.events import read_event, with_path
from infra.localstack import functions
from infra.template_map import Function
from tests.integration.visibility.world import Owned, make_owned
from tests.support import answers
from tests.support.answers import Answer
from tests.support.http import nginx_origin

ROUTES = sorted(
    (route for route in template_map.routes() if not route.is_alias), key=lambda route: route.path.endswith("/logout")
)
"""All routes, logout last, because it ends the session that the others need."""
OTHERS = [each for each in template_map.functions() if each not in [route.function for route in ROUTES]]
SAMPLE_ID = re.compile(r"0{8}-0000-7000-8000-\d{12}")
type Way = Callable[[Function, dict[str, Any]], Answer]


def _invoke(function: Function, event: dict[str, Any]) -> Answer:
    return answers.decode(InProcessEnvironment(function).invoke(event))


def _invoke_in_localstack(function: Function, event: dict[str, Any]) -> Answer:
    outcome = functions.invoke(function, event)
    assert outcome.error is None, outcome
    return answers.decode(outcome.payload)


def _request_gateway(_: Function, event: dict[str, Any]) -> Answer:
    answer = httpx.request(
        event["httpMethod"],
        f"{nginx_origin()}{answers.target(event)}",
        headers=event["headers"],
        content=answers.body(event),
        timeout=30,
    )
    return answers.normalize(answer.status_code, answer.headers, answer.content)


def _request_chalice_client(_: Function, event: dict[str, Any]) -> Answer:
    with Client(app) as client:
        answer = client.http.request(
            event["httpMethod"], answers.target(event), headers=dict(event["headers"]), body=answers.body(event)
        )
    return answers.normalize(answer.status_code, answer.headers, answer.body)


WAYS: Mapping[str, Way] = {
    "lambda": _invoke_in_localstack,
    "gateway": _request_gateway,
    "chalice": _request_chalice_client,
}


def _event(function: Function, world: Owned) -> dict[str, Any]:
    """The sample event with the ids of this world, signed in as its owner."""
    event = read_event(None, function)
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
    event = with_path(event, {name: ids[name] for name in variables})
    if event["body"] and not event["isBase64Encoded"]:
        of_messages = function.name in ("messages/mark_read", "messages/send_message")
        event["body"] = SAMPLE_ID.sub(message if of_messages else neighbour, event["body"])
    if function.name == "auth/register":
        name = f"newcomer_{secrets.token_hex(5)}"
        event["body"] = json.dumps({"username": name, "email": f"{name}@example.org", "password": "a good password"})
    if function.name == "auth/login":
        event["body"] = json.dumps({"username": world.owner.username, "password": "not the right one"})
    address = f"192.0.2.{secrets.randbelow(256)}"  # the rate limit of logins is counted by address
    headers = {
        **event["headers"],
        "cookie": f"session_id={world.owner.session_id}",
        "x-forwarded-for": address,
    }
    event["requestContext"]["identity"]["sourceIp"] = address
    return {**event, "headers": headers, "multiValueHeaders": {name: [value] for name, value in headers.items()}}


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> tuple[Way, Owned, Owned]:
    """A way to call functions, with a world for it and another one for `make invoke`."""
    return WAYS[request.param], make_owned("public", {}), make_owned("public", {})


@pytest.mark.parametrize("function", [route.function for route in ROUTES], ids=lambda function: function.name)
def test_a_request_gets_the_same_answer(way: tuple[Way, Owned, Owned], function: Function) -> None:
    call, world, other = way
    status, headers, body = _invoke(function, _event(function, other))

    found = call(function, _event(function, world))

    assert (found[0], found[2]) == (status, body)
    assert {name: found[1].get(name) for name in headers} == headers


@pytest.mark.parametrize("function", OTHERS, ids=lambda function: function.name)
def test_another_event_has_the_same_result(function: Function) -> None:
    event = read_event(None, function)
    if function.name.startswith("live/"):
        event["requestContext"]["connectionId"] = "parity="
    invoked = json.loads(msgspec.json.encode(InProcessEnvironment(function).invoke(event), enc_hook=str))
    outcome = functions.invoke(function, event)

    assert outcome.error is None, outcome
    assert _without_counts(outcome.payload) == _without_counts(invoked)


def _without_counts(result: Any) -> Any:
    """The result without its numbers: the second run finds less to delete."""
    return sorted(result) if isinstance(result, dict) else type(result)
