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
            "contentType": _text(properties.content_type),
            "contentEncoding": _text(properties.content_encoding),
            "headers": _header(properties.headers or {}),
            "deliveryMode": properties.delivery_mode,
            "priority": properties.priority,
            "correlationId": _text(properties.correlation_id),
            "replyTo": _text(properties.reply_to),
            "expiration": _text(properties.expiration),
            "messageId": _text(properties.message_id),
            "timestamp": None if timestamp is None else _timestamp(timestamp),
            "type": _text(properties.type),
            "userId": _text(properties.user_id),
            "appId": _text(properties.app_id),
            "clusterId": _text(properties.cluster_id),
            "bodySize": len(delivery.body),
        },
        "redelivered": delivery.redelivered,
        "data": base64.b64encode(delivery.body).decode(),
    }


def _text(value: str | bytes | None) -> str | None:
    """A short string; pika leaves one that is not UTF-8 as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _timestamp(seconds: int) -> str | None:
    """A time in seconds since 1970; None for one after the year 9999, which nobody meant."""
    try:
        return _time(datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, ValueError, OSError):
        return None


def _header(value: object) -> object:
    """A header's value, or a table or list of values, as Gson serializes it."""
    match value:
        case None | bool() | float():
            return value
        case int():
            return int(value)  # pika has its own type for 64-bit integers
        case Mapping():
            return {_text(name): _header(inner) for name, inner in value.items()}
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
