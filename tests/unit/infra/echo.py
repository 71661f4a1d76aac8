"""A function to test hosts with: it answers with the event that it got."""

import json
from collections.abc import Mapping
from typing import Any


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """The event and what the context says, as JSON."""
    told = {"event": event, "function": context.function_name, "left_ms": context.get_remaining_time_in_millis()}
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(told)}


def picture(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Bytes, and two cookies."""
    return {
        "statusCode": 200,
        "headers": {"content-type": "image/png"},
        "multiValueHeaders": {"set-cookie": ["a=1", "b=2"]},
        "body": "iVBORw==",
        "isBase64Encoded": True,
    }


def broken(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """What a handler without our door may do."""
    raise RuntimeError("postgresql://secret@10.0.0.1")
