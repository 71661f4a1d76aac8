"""Every log line of an invocation carries Lambda's id of it."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from functions.health import get_live
from infra import template_map
from infra.environments.context import Context
from layers.core.logging import logger
from layers.entrypoints.queue import on_message
from layers.entrypoints.schedule import on_schedule
from layers.entrypoints.websocket import WebSocketEvent, on_websocket_event
from tests.support.calls import sample
from tests.support.logs import capture_log

MESSAGE = {"rmqMessagesByQueue": {"q::/": [{"basicProperties": {"headers": None}, "data": "e30="}]}}
FRAME = {"requestContext": {"connectionId": "c", "routeKey": "$default", "requestId": "r"}}


@on_schedule
def tick() -> int:
    logger().warning("inside")
    return 1


@on_message(dict)
def read(message: dict[str, Any]) -> None:
    logger().warning("inside", size=len(message))


@on_websocket_event
def hear(event: WebSocketEvent) -> None:
    try:
        int(event.body)
    except ValueError:
        logger().exception("inside")


@pytest.mark.parametrize(
    ("handler", "event", "lines"),
    [
        (get_live.handler, sample(get_live), ["request"]),
        (tick, {"id": "e"}, ["inside", "schedule"]),
        (read, MESSAGE, ["inside", "message"]),
        (hear, FRAME, ["inside", "live"]),
    ],
    ids=["http", "schedule", "queue", "websocket"],
)
def test_all_lines_carry_the_id_of_their_invocation_and_none_afterwards(
    handler: Callable[[Mapping[str, Any], object], object], event: Mapping[str, Any], lines: list[str]
) -> None:
    context = Context(template_map.function("health/get_live"))
    with capture_log() as written:
        handler(event, context)
        logger().warning("afterwards")
    *of_invocation, afterwards = written()

    assert [each["message"] for each in of_invocation] == lines
    assert {each["function_request_id"] for each in of_invocation} == {context.aws_request_id}
    assert "function_request_id" not in afterwards


def test_a_request_line_without_a_context_has_no_id() -> None:
    with capture_log() as written:
        get_live.handler(sample(get_live), None)

    assert written()[0]["function_request_id"] is None
