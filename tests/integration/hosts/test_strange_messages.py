"""Messages of any form, from a real broker to the functions of all queues: each is done or becomes a dead letter.

Whoever may publish decides on body, properties and headers. A message that cannot be read must not keep others waiting.
"""

import secrets
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import pika
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra import template_map
from infra.environments.child_process import ChildProcessEnvironment
from infra.local.consume_queues import Poller, Source
from tests.support.queues import channel, count_ready, new_queue, publish, take
from tests.support.waiting import until

_MESSAGES: Final = 40
_FUNCTIONS: Final = {queue.name: queue.function.handler for queue in template_map.queues()}


def _short(raw: bytes) -> bytes:
    return bytes([len(raw)]) + raw


def _long(raw: bytes) -> bytes:
    return struct.pack(">I", len(raw)) + raw


def _table(fields: list[tuple[bytes, bytes]]) -> bytes:
    return _long(b"".join(_short(name) + value for name, value in fields))


def _kind(kind: bytes, size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size).map(lambda raw: kind + raw)


_OWN: Final = (b"x-attempt", b"x-outage", b"x-trace-id", b"x-error", b"bytes")
_NAMES: Final = st.sampled_from(_OWN) | st.binary(max_size=255).filter(lambda name: not name.startswith(b"x-death"))
"""Without `x-death`: RabbitMQ 3.10 itself fails if that header has another form than its own."""

_SIZES: Final = {b"b": 1, b"s": 2, b"I": 4, b"l": 8, b"D": 5}
_NUMBERS: Final = st.one_of(*(_kind(kind, size) for kind, size in _SIZES.items()))
_STRINGS: Final = st.binary(max_size=300).map(lambda raw: b"S" + _long(raw)) | st.binary(max_size=9).map(
    lambda raw: b"x" + _long(raw)
)
_VALUES: Final = st.recursive(
    st.one_of(_NUMBERS, _STRINGS, st.sampled_from([b"V", b"t\0", b"t\1", b"T" + bytes(8)])),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda values: b"A" + _long(b"".join(values)))
        | st.lists(st.tuples(_NAMES, inner), max_size=4).map(lambda fields: b"F" + _table(fields))
    ),
    max_leaves=8,
)
"""Values of headers as AMQP 0-9-1 writes them, of all types that pika can read."""

_HEADERS: Final = st.lists(st.tuples(_NAMES, _VALUES), max_size=5).map(_table)
_PROPERTIES: Final = st.fixed_dictionaries(
    {},
    optional={
        "content_type": st.binary(max_size=255),
        "message_id": st.binary(max_size=255),
        "type": st.binary(max_size=9),
        "correlation_id": st.binary(max_size=9),
        "timestamp": st.integers(0, 2**64 - 1),
        "priority": st.integers(0, 255),
    },
)
_JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["post_id", "user_id", "Key", "Records"]) | st.text(), inner, max_size=3)
    ),
    max_leaves=6,
)
_BODIES: Final = st.binary(max_size=200) | _JSON.map(msgspec.json.encode) | st.just(b"[" * 50_000)


class _Raw(pika.BasicProperties):  # type: ignore[misc]  # pika has no types
    """Properties whose table of headers is written as it is."""

    def __init__(self, table: bytes, **properties: Any) -> None:
        super().__init__(headers={"x": 1}, **properties)
        self._table = table

    def encode(self) -> list[bytes]:
        """The bytes of the properties."""
        plain = b"".join(super().encode())
        written = _table([(b"x", struct.pack(">ci", b"I", 1))])
        assert plain.count(written) == 1
        return [plain.replace(written, self._table)]


def _publish(queue: str, body: bytes, table: bytes, properties: dict[str, Any]) -> None:
    with channel() as opened:
        opened.basic_publish("", queue, body, _Raw(table, delivery_mode=2, **properties), mandatory=True)


@contextmanager
def _polling(queue: str, handler: str, *, batch: int) -> Iterator[Poller]:
    stopping = threading.Event()
    source = Source(function=handler, queue=queue, batch_size=batch, window_seconds=0.2, timeout_seconds=20)
    poller = Poller(source, stopping, ChildProcessEnvironment(handler))
    poller.start()
    try:
        yield poller
    finally:
        stopping.set()
        poller.join(timeout=20)
        assert not poller.is_alive()


def _is_settled(queue: str) -> bool:
    """Whether no message is in the queue, on its way or waiting for another attempt."""
    with channel() as opened:
        return all(
            opened.queue_declare(name, passive=True).method.message_count == 0
            for name in (queue, *(f"{queue}.wait-{wait}" for wait in (1000, 2000, 4000)))
        )


@pytest.mark.parametrize("name", _FUNCTIONS)
@pytest.mark.timeout(180)
def test_a_message_of_any_form_is_done_or_becomes_a_dead_letter(name: str) -> None:
    with new_queue() as queue:

        @settings(max_examples=_MESSAGES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(_BODIES, _HEADERS, _PROPERTIES)
        def publish_some(body: bytes, table: bytes, properties: dict[str, Any]) -> None:
            _publish(queue, body, table, properties)

        publish_some()
        _publish(queue, b"x", _table([(b"x-trace-id", b"F" + _table([(b"bytes", b"I\0\0\0\5")]))]), {})
        _publish(queue, b"x", _table([]), {"timestamp": 2**64 - 1, "message_id": b"\xff" * 255})
        _publish(queue, b"x", _table([(b"\xff" * 255, b"I\0\0\0\5")]), {})
        _publish(queue, b"x", _table([(b"large", b"S" + _long(b"x" * 129_000))]), {})
        before = count_ready(queue)

        def all_are_settled() -> bool:
            """With the poller stopped nothing is on its way, so that what is not settled is seen."""
            looks = [False] * 5

            def is_quiet() -> bool:
                looks.append(_is_settled(queue))
                return all(looks[-5:])

            with _polling(queue, _FUNCTIONS[name], batch=10):
                until(is_quiet, seconds=90, every=0.3)
            return _is_settled(queue)

        until(all_are_settled, seconds=120)
        letters = [take(f"{queue}.dead") for _ in range(count_ready(f"{queue}.dead"))]
        assert before - _MESSAGES <= len(letters) <= before
        assert all("x-error" in letter.headers for letter in letters)


def _nested(depth: int) -> bytes:
    value = b"V"
    for _ in range(depth):
        value = b"A" + _long(value)
    return value


@pytest.mark.parametrize("value", [b"T" + b"\xff" * 8, _nested(3000)], ids=["time", "nested"])
@pytest.mark.timeout(180)
def test_a_header_that_pika_cannot_read_takes_no_other_message_along(value: bytes, tmp_path: Path) -> None:
    names = [secrets.token_hex(4) for _ in range(12)]
    with new_queue() as queue:
        for number, name in enumerate(names):
            publish(queue, {"folder": str(tmp_path), "name": name, "seconds": 0})
            if number == 5:
                _publish(queue, b"{}", _table([(b"x", value)]), {})
        with _polling(queue, "tests.integration.hosts.effects.handler", batch=10):
            until(lambda: {path.stem for path in tmp_path.glob("*.done")} == set(names), seconds=60)
            until(lambda: count_ready(queue) == 0, seconds=30)
            assert count_ready(f"{queue}.dead") <= 1
            publish(queue, {"folder": str(tmp_path), "name": "later", "seconds": 0})
            until((tmp_path / "later.done").exists, seconds=60)
