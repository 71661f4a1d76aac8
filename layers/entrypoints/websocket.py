"""Entry point of live connections: takes a WebSocket event of API Gateway and returns a status.

A status of 400 or more in the answer to `$connect` refuses the connection.
"""

import functools
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from layers.core.logging import function_name, logger
from layers.entrypoints.invocation import invocation
from layers.entrypoints.request import session_id_in
from layers.entrypoints.response import Reply, describe_problem


class WebSocketEvent(msgspec.Struct, frozen=True):
    """The parts of an event that handlers use."""

    connection_id: str
    address: str
    headers: Mapping[str, str]
    """The headers of the `$connect` request, with names in lower case; empty for other events."""
    body: str

    @property
    def session_id(self) -> str | None:
        """The value of the session cookie; None if there is none."""
        return session_id_in(self.headers)


def on_websocket_event(handler: Callable[[WebSocketEvent], None]) -> Callable[[Mapping[str, Any], object], Reply]:
    """Make a Lambda handler from a function that takes one event; use it as a decorator.

    An error that the function raises becomes a problem document.
    """
    name = function_name(handler)

    @functools.wraps(handler)
    def answer(event: Mapping[str, Any], context: object) -> Reply:
        with invocation(context):
            return _answer(name, handler, event)

    return answer


def _answer(name: str, handler: Callable[[WebSocketEvent], None], event: Mapping[str, Any]) -> Reply:
    """Status and body of the answer; writes the log line."""
    started = time.perf_counter()
    request_context = event["requestContext"]
    websocket_event = WebSocketEvent(
        connection_id=request_context["connectionId"],
        address=(request_context.get("identity") or {}).get("sourceIp") or "unknown",
        headers={key.lower(): value for key, value in (event.get("headers") or {}).items()},
        body=event.get("body") or "",
    )
    status, body = HTTPStatus.OK, b""
    try:
        handler(websocket_event)
    except Exception as error:  # noqa: BLE001 (the one place where errors become answers)
        status, body = describe_problem(error)
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            logger().exception("unexpected failure", trace_id=request_context.get("requestId"))
    logger().info(
        "live",
        function=name,
        trace_id=request_context.get("requestId"),
        route=request_context["routeKey"],
        connection_id=websocket_event.connection_id,
        status=status.value,
        duration_ms=round((time.perf_counter() - started) * 1000, 2),
    )
    return {"statusCode": status.value, "body": body.decode()}
