"""The event of API Gateway's WebSocket API.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from infra.events.account import ACCOUNT

STAGE = "live"


def build_event(
    *,
    route_key: str,
    event_type: str,
    connection_id: str,
    connected_at: float,
    headers: Mapping[str, Sequence[str]],
    peer: str,
    body: str | None = None,
) -> dict[str, Any]:
    """The event of a route (`$connect`, `$default`, `$disconnect`) and its type (CONNECT, MESSAGE, DISCONNECT).

    `connected_at` is in seconds since 1970. Only the event of CONNECT contains `headers`.
    """
    now = datetime.now(UTC)
    event: dict[str, Any] = {
        "requestContext": {
            "routeKey": route_key,
            "eventType": event_type,
            "extendedRequestId": secrets.token_urlsafe(9),
            "requestTime": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "messageDirection": "IN",
            "stage": STAGE,
            "connectedAt": int(connected_at * 1000),
            "requestTimeEpoch": int(now.timestamp() * 1000),
            "identity": {"sourceIp": peer, "userAgent": _first(headers, "user-agent")},
            "requestId": secrets.token_urlsafe(9),
            "domainName": _first(headers, "host"),
            "connectionId": connection_id,
            "apiId": ACCOUNT,
        },
        "isBase64Encoded": False,
    }
    if event_type == "CONNECT":
        event["headers"] = {name: values[0] for name, values in headers.items()}
        event["multiValueHeaders"] = {name: list(values) for name, values in headers.items()}
    if body is not None:
        event["requestContext"]["messageId"] = secrets.token_urlsafe(9)
        event["body"] = body
    return event


def _first(headers: Mapping[str, Sequence[str]], name: str) -> str:
    return next((values[0] for key, values in headers.items() if key.lower() == name), "")
