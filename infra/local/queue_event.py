"""The `aws:rmq` event as Lambda's Amazon MQ event source mapping builds it, to the letter.

Its JSON is Gson's: strings among the headers are objects with a list of signed bytes, times have American form.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pika

_ARN = "arn:aws:mq:eu-central-1:000000000000:broker:photogram:b-00000000-0000-0000-0000-000000000000"
_NOON = 12
_SIGN = 128


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One message as the broker delivered it."""

    tag: int
    redelivered: bool
    properties: pika.BasicProperties
    body: bytes


def event_of(queue: str, virtual_host: str, deliveries: Sequence[Delivery]) -> dict[str, Any]:
    """The event of one batch."""
    return {
        "eventSource": "aws:rmq",
        "eventSourceArn": _ARN,
        "rmqMessagesByQueue": {f"{queue}::{virtual_host}": [_message(delivery) for delivery in deliveries]},
    }


def _message(delivery: Delivery) -> dict[str, Any]:
    given = delivery.properties
    return {
        "basicProperties": {
            "contentType": given.content_type,
            "contentEncoding": given.content_encoding,
            "headers": _header(given.headers or {}),
            "deliveryMode": given.delivery_mode,
            "priority": given.priority,
            "correlationId": given.correlation_id,
            "replyTo": given.reply_to,
            "expiration": given.expiration,
            "messageId": given.message_id,
            "timestamp": None if given.timestamp is None else _time(datetime.fromtimestamp(given.timestamp, UTC)),
            "type": given.type,
            "userId": given.user_id,
            "appId": given.app_id,
            "clusterId": given.cluster_id,
            "bodySize": len(delivery.body),
        },
        "redelivered": delivery.redelivered,
        "data": base64.b64encode(delivery.body).decode(),
    }


def _header(value: object) -> object:
    """A header's value, or a table or list of them, as Gson writes it."""
    match value:
        case None | bool() | float():
            return value
        case int():
            return int(value)  # pika's 64-bit numbers are of a type of its own
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
