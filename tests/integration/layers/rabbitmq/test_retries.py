"""The retries of queue triggers, through the entry point and the broker."""

import logging
import time
from typing import Any

import msgspec
import pytest

from infra.events.queue import Delivery, build_event
from layers.core import trace
from layers.core.errors import StoreUnavailable
from layers.core.events import OutboxEvent
from layers.core.ids import new_id
from layers.core.logging import logger
from layers.core.settings import settings
from layers.entrypoints.queue import on_message
from layers.rabbitmq import connection, publishing
from tests.support.queues import Letter, count_ready, publish, take


class Job(msgspec.Struct, frozen=True):
    """A body."""

    name: str


def event(queue: str, *letters: Letter) -> dict[str, Any]:
    deliveries = [
        Delivery(tag=1, redelivered=False, properties=letter.properties, body=letter.body) for letter in letters
    ]
    return build_event(queue, "/", deliveries)


def taken(queue: str, *names: str, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    publish(queue, *({"name": name} for name in names), headers=headers)
    return event(queue, *(take(queue) for _ in names))


@pytest.mark.rule("R-M6")
def test_a_failing_message_is_tried_after_1_2_and_4_s_and_then_dead_lettered_with_its_error(queue: str) -> None:
    given_up: list[tuple[str, str]] = []

    def give_up(job: Job, error: Exception) -> None:
        given_up.append((job.name, str(error)))

    @on_message(Job, give_up=give_up)
    def handler(job: Job) -> None:
        raise RuntimeError(f"no luck with {job.name}")

    handler(taken(queue, "a", headers={"x-trace-id": "t", "other": 7}), None)
    waits = []
    for _ in range(3):
        started = time.monotonic()
        assert not given_up
        handler(event(queue, take(queue, seconds=6)), None)
        waits.append(time.monotonic() - started)

    letter = take(f"{queue}.dead")
    assert [round(wait) for wait in waits] == [1, 2, 4]
    assert given_up == [("a", "no luck with a")]
    assert msgspec.json.decode(letter.body) == {"name": "a"}
    expected = {"x-trace-id": "t", "other": 7, "x-attempt": 4, "x-error": "RuntimeError: no luck with a"}
    assert {name: letter.headers.get(name) for name in expected} == expected


def test_a_message_that_finds_a_store_away_waits_for_it_and_that_is_no_attempt(queue: str) -> None:
    @on_message(Job)
    def handler(job: Job) -> None:
        raise StoreUnavailable("valkey")

    handler(taken(queue, "a", headers={"x-attempt": 3, "x-outage": 5}), None)
    started = time.monotonic()
    letter = take(queue, seconds=6)

    assert round(time.monotonic() - started) == 1
    assert [letter.headers.get(name) for name in ("x-attempt", "x-outage")] == [3, 6]


def test_after_an_hour_of_waiting_a_store_that_is_away_counts_as_an_attempt(queue: str) -> None:
    @on_message(Job)
    def handler(job: Job) -> None:
        raise StoreUnavailable("valkey")

    handler(taken(queue, "a", headers={"x-attempt": 3, "x-outage": 3600}), None)

    assert count_ready(f"{queue}.dead") == 1


def test_neighbours_of_a_failing_message_pass(queue: str) -> None:
    done = []

    @on_message(Job)
    def handler(job: Job) -> None:
        if job.name == "bad":
            raise RuntimeError
        done.append(job.name)

    handler(taken(queue, "a", "bad", "b"), None)

    assert done == ["a", "b"]
    assert msgspec.json.decode(take(queue).body) == {"name": "bad"}


def test_a_body_that_cannot_be_decoded_becomes_a_dead_letter(queue: str) -> None:
    @on_message(Job)
    def handler(job: Job) -> None:
        raise AssertionError

    publish(queue, ["not", "a", "job"], headers={"x-attempt": 3})
    handler(event(queue, take(queue)), None)

    assert take(f"{queue}.dead").headers["x-error"].startswith("ValidationError")


def test_the_trace_id_that_the_handler_found_stays_with_the_message(queue: str) -> None:
    @on_message(Job)
    def handler(job: Job) -> None:
        trace.trace_id.set("found-inside")
        raise RuntimeError

    handler(taken(queue, "a"), None)

    assert take(queue).headers["x-trace-id"] == "found-inside"


def test_a_failing_give_up_does_not_keep_the_message_from_the_dead_letters(queue: str) -> None:
    def give_up(job: Job, error: Exception) -> None:
        raise StoreUnavailable("database")

    @on_message(Job, give_up=give_up)
    def handler(job: Job) -> None:
        raise RuntimeError

    handler(taken(queue, "a", headers={"x-attempt": 3}), None)

    assert count_ready(f"{queue}.dead") == 1


def test_without_the_broker_the_invocation_fails_so_that_the_batch_comes_back(
    queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @on_message(Job)
    def handler(job: Job) -> None:
        raise RuntimeError

    failing = taken(queue, "a")
    monkeypatch.setenv("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:9/%2F")
    settings.cache_clear()
    connection.close()
    try:
        with pytest.raises(StoreUnavailable):
            handler(failing, None)
    finally:
        monkeypatch.undo()
        settings.cache_clear()


class Records(logging.Handler):
    """Collects what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(record)


def test_an_event_can_withhold_what_its_function_publishes(queue: str) -> None:
    records = Records()

    @on_message(Job)
    def handler(job: Job) -> None:
        raise RuntimeError("no luck")

    sent = taken(queue, "a")
    logger().addHandler(records)
    handler({**sent, "withholdMessages": True}, None)
    logging.getLogger("photogram").removeHandler(records)
    withheld = [vars(each)["queue"] for each in records.found if each.getMessage() == "not published"]
    after_withholding = count_ready(f"{queue}.wait-1000")
    handler(sent, None)

    assert withheld == [f"{queue}.wait-1000"]
    assert after_withholding == 0
    assert count_ready(f"{queue}.wait-1000") == 1


def test_an_event_of_the_outbox_that_is_withheld_is_not_published(queue: str) -> None:
    event = OutboxEvent(id=new_id(), queue=queue, body=b"{}", trace_id=None)
    shown: list[tuple[str, bytes]] = []
    with connection.withhold(lambda name, body, _: shown.append((name, body))):
        is_published = publishing.publish(event)

    assert not is_published
    assert shown == [(queue, b"{}")]
    assert count_ready(queue) == 0
    assert publishing.publish(event)
    assert take(queue).body == b"{}"
