"""The door for live connections: API Gateway's WebSocket events in, a status out: a refusal opens no connection."""

import functools
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from layers.core.logging import function_name, logger
from layers.core.request import session_id_in
from layers.core.response import Reply, problem


class Call(msgspec.Struct, frozen=True):
    """What a door reads of an event."""

    connection_id: str
    address: str
    headers: Mapping[str, str]
    """Of the request that connects, in lower case; messages have none."""
    body: str

    @property
    def session_id(self) -> str | None:
        """The session cookie's value."""
        return session_id_in(self.headers)


def on_call(handler: Callable[[Call], None]) -> Callable[[Mapping[str, Any], object], Reply]:
    """Make a Lambda handler of a function that takes one event of a connection; what it raises is the refusal."""
    name = function_name(handler)

    @functools.wraps(handler)
    def answer(event: Mapping[str, Any], context: object) -> Reply:  # noqa: ARG001 (Lambda's form)
        started = time.perf_counter()
        given = event["requestContext"]
        call = Call(
            connection_id=given["connectionId"],
            address=(given.get("identity") or {}).get("sourceIp") or "unknown",
            headers={key.lower(): value for key, value in (event.get("headers") or {}).items()},
            body=event.get("body") or "",
        )
        status, body = HTTPStatus.OK, b""
        try:
            handler(call)
        except Exception as error:  # noqa: BLE001 (the one place where errors become answers)
            status, body = problem(error)
            if status is HTTPStatus.INTERNAL_SERVER_ERROR:
                logger().exception("unexpected failure", trace_id=given.get("requestId"))
        logger().info(
            "live",
            function=name,
            trace_id=given.get("requestId"),
            route=given["routeKey"],
            connection_id=call.connection_id,
            status=status.value,
            duration_ms=round((time.perf_counter() - started) * 1000, 2),
        )
        return {"statusCode": status.value, "body": body.decode()}

    return answer
