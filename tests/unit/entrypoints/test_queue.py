"""The entry point of queues, as far as it goes without a broker."""

import base64
from typing import Any

import msgspec

from layers.core import trace
from layers.entrypoints.queue import on_message
from layers.rabbitmq.messages import QueueMessage, read_messages


class Greeting(msgspec.Struct, frozen=True):
    """A body."""

    text: str


def event(*bodies: bytes, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    properties = {"headers": headers}
    return {
        "rmqMessagesByQueue": {
            "greetings::/": [
                {"basicProperties": properties, "redelivered": False, "data": base64.b64encode(body).decode()}
                for body in bodies
            ]
        }
    }


def message(headers: dict[str, Any] | None) -> QueueMessage:
    return QueueMessage(queue="greetings", body=b"", properties={"headers": headers}, redelivered=False)


def test_messages_keep_queue_order_and_bytes() -> None:
    found = read_messages(event(b"one", b"\xff\x00"))

    assert [(each.queue, each.body) for each in found] == [("greetings", b"one"), ("greetings", b"\xff\x00")]


def test_messages_of_several_queues_each_know_theirs() -> None:
    two = {"rmqMessagesByQueue": event(b"1")["rmqMessagesByQueue"] | {"others::/host": [{"data": ""}]}}

    assert [each.queue for each in read_messages(two)] == ["greetings", "others"]


def test_headers_are_text_numbers_or_signed_bytes() -> None:
    given = {"text": {"bytes": list(b"plain")}, "signed": {"bytes": [-61, -91]}, "number": 7}

    assert [message(given).header(name) for name in ("text", "signed", "number", "none")] == ["plain", "å", "7", None]
    assert message(None).header("any") is None


def test_an_attempt_is_counted_from_zero_and_nonsense_is_zero() -> None:
    given: list[Any] = [None, {}, {"x-attempt": 2}, {"x-attempt": {"bytes": [51]}}, {"x-attempt": {"bytes": [45]}}]

    assert [message(headers).attempt for headers in given] == [0, 0, 2, 3, 0]


def test_the_fourth_try_is_the_last() -> None:
    messages = [message({"x-attempt": attempt}) for attempt in range(5)]

    assert [each.is_last_attempt for each in messages] == [False, False, False, True, True]


def test_each_message_is_handled_decoded_and_with_its_trace_id() -> None:
    seen: list[tuple[str, str | None]] = []

    @on_message(Greeting)
    def handler(greeting: Greeting) -> None:
        seen.append((greeting.text, trace.trace_id.get()))

    handler(event(b'{"text": "a"}', b'{"text": "b"}', headers={"x-trace-id": {"bytes": list(b"abc")}}), None)
    handler(event(b'{"text": "c"}'), None)

    assert seen == [("a", "abc"), ("b", "abc"), ("c", None)]
