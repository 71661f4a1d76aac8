"""Functions to test hosts with; `handler` returns the event that it got."""

import json
from collections.abc import Mapping
from typing import Any


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """The event and some of the context, as JSON."""
    remaining_ms = context.get_remaining_time_in_millis()
    body = json.dumps({"event": event, "function": context.function_name, "remaining_ms": remaining_ms})
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": body}


def picture(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """A binary body, and two cookies."""
    return {
        "statusCode": 200,
        "headers": {"content-type": "image/png"},
        "multiValueHeaders": {"set-cookie": ["a=1", "b=2"]},
        "body": "iVBORw==",
        "isBase64Encoded": True,
    }


def broken(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Raises an error whose message must not be shown to clients."""
    raise RuntimeError("postgresql://secret@10.0.0.1")
