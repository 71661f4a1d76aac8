"""The `aws:rmq` event, exactly as Lambda's event source mapping for Amazon MQ builds it.

https://docs.aws.amazon.com/lambda/latest/dg/with-mq.html. AWS serializes with Gson: string headers are objects that
hold a list of signed bytes, and times are written in the American format.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pika

from infra.events.account import ACCOUNT, REGION

_ARN = f"arn:aws:mq:{REGION}:{ACCOUNT}:broker:photogram:b-00000000-0000-0000-0000-000000000000"
_NOON = 12
_SIGN = 128


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One message as the broker delivered it."""

    tag: int
    redelivered: bool
    properties: pika.BasicProperties
    body: bytes


def build_event(queue: str, virtual_host: str, deliveries: Sequence[Delivery]) -> dict[str, Any]:
    """The event of one batch."""
    return {
        "eventSource": "aws:rmq",
        "eventSourceArn": _ARN,
        "rmqMessagesByQueue": {f"{queue}::{virtual_host}": [_message(delivery) for delivery in deliveries]},
    }


def _message(delivery: Delivery) -> dict[str, Any]:
    properties = delivery.properties
    timestamp = properties.timestamp
    return {
        "basicProperties": {
            "contentType": properties.content_type,
            "contentEncoding": properties.content_encoding,
            "headers": _header(properties.headers or {}),
            "deliveryMode": properties.delivery_mode,
            "priority": properties.priority,
            "correlationId": properties.correlation_id,
            "replyTo": properties.reply_to,
            "expiration": properties.expiration,
            "messageId": properties.message_id,
            "timestamp": None if timestamp is None else _time(datetime.fromtimestamp(timestamp, UTC)),
            "type": properties.type,
            "userId": properties.user_id,
            "appId": properties.app_id,
            "clusterId": properties.cluster_id,
            "bodySize": len(delivery.body),
        },
        "redelivered": delivery.redelivered,
        "data": base64.b64encode(delivery.body).decode(),
    }


def _header(value: object) -> object:
    """A header's value, or a table or list of values, as Gson serializes it."""
    match value:
        case None | bool() | float():
            return value
        case int():
            return int(value)  # pika has its own type for 64-bit integers
        case Mapping():
            return {name: _header(inner) for name, inner in value.items()}
        case list():
            return [_header(inner) for inner in value]
        case datetime():
            return _time(value)
        case _:
            raw = value if isinstance(value, bytes) else str(value).encode()
            return {"bytes": [(byte + _SIGN) % (2 * _SIGN) - _SIGN for byte in raw]}


def _time(moment: datetime) -> str:
    half = "AM" if moment.hour < _NOON else "PM"
    return f"{moment:%b} {moment.day}, {moment.year}, {moment.hour % _NOON or _NOON}:{moment:%M:%S} {half}"
