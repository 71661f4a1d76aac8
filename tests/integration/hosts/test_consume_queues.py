"""The queue consumer delivers whole batches at least once, also after crashes, as Amazon MQ's mapping does."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import pika
import pytest
from aws_lambda_powertools.utilities.data_classes.rabbit_mq_event import RabbitMQEvent

from infra import template_map
from infra.environments.child_process import ChildProcessEnvironment
from infra.events.queue import Delivery, build_event
from infra.local.consume_queues import MAX_EVENT_BYTES, Poller, Source, mappings
from layers.core.settings import settings
from tests.support import services
from tests.support.proxies import Proxy, proxy_to
from tests.support.queues import channel, count_ready, publish, take
from tests.support.waiting import until

type Start = Callable[..., Poller]


@pytest.fixture
def start(queue: str) -> Iterator[Start]:
    """A function that starts a poller of the queue with one of the handlers in effects.py."""
    stopping = threading.Event()
    pollers = []

    def begin(handler: str = "handler", *, batch: int = 1, window: float = 0.5, timeout: float = 10) -> Poller:
        source = Source(
            function=handler,
            queue=queue,
            batch_size=batch,
            window_seconds=window,
            timeout_seconds=timeout,
        )
        poller = Poller(source, stopping, ChildProcessEnvironment(f"tests.integration.hosts.effects.{handler}"))
        poller.start()
        pollers.append(poller)
        return poller

    begin.stop = stopping.set  # type: ignore[attr-defined]
    yield begin
    stopping.set()
    for poller in pollers:
        poller.join(timeout=20)
        assert not poller.is_alive()


@pytest.fixture
def proxy(queue: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy of the broker for the consumer; the test itself connects to the broker."""
    with proxy_to(settings().rabbitmq_url) as opened:
        yield opened


def done(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.done")}


def tasks(folder: Path, *names: str, seconds: float = 0) -> list[dict[str, object]]:
    return [{"folder": str(folder), "name": name, "seconds": seconds} for name in names]


def test_the_event_is_that_of_amazon_mq_and_powertools_reads_it(queue: str, start: Start, tmp_path: Path) -> None:
    body = msgspec.json.encode({"folder": str(tmp_path), "name": "å"})
    headers = {"x-trace-id": "træ", "count": 10, "flag": True, "table": {"inner": "x"}, "list": ["a", 1]}
    properties = pika.BasicProperties(
        content_type="application/json",
        headers=headers,
        delivery_mode=2,
        priority=3,
        message_id="m-1",
        timestamp=2021,
        expiration="60000",
    )
    with channel() as opened:
        opened.basic_publish("", queue, body, properties, mandatory=True)
    start("keeping")

    [path] = until(lambda: list(tmp_path.glob("*.event")))
    raw = msgspec.json.decode(until(path.read_bytes))
    event = RabbitMQEvent(raw)
    [(source, [message])] = event.rmq_messages_by_queue.items()
    given = message.basic_properties
    assert (event.event_source, source) == ("aws:rmq", f"{queue}::/")
    assert (message.redelivered, message.json_data) == (False, {"folder": str(tmp_path), "name": "å"})
    assert (given.content_type, given.delivery_mode) == ("application/json", 2)
    assert raw["rmqMessagesByQueue"][source][0]["basicProperties"]["contentEncoding"] is None
    assert (given.priority, given.message_id, given.expiration, given.body_size) == (3, "m-1", "60000", len(body))
    assert given.timestamp == "Jan 1, 1970, 12:33:41 AM"
    signed = {"bytes": [116, 114, -61, -90]}
    assert given.headers["x-trace-id"] == signed
    assert (given.headers["count"], given.headers["flag"]) == (10, True)
    assert given.headers["list"] == [{"bytes": [97]}, 1]
    assert set(raw["rmqMessagesByQueue"][source][0]["basicProperties"]) == {
        "contentType", "contentEncoding", "headers", "deliveryMode", "priority", "correlationId", "replyTo",
        "expiration", "messageId", "timestamp", "type", "userId", "appId", "clusterId", "bodySize",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (0, "Jan 1, 1970, 12:00:00 AM"),
        (43_200, "Jan 1, 1970, 12:00:00 PM"),
        (1_795_392_245, "Nov 23, 2026, 12:04:05 AM"),
        (1_795_435_445, "Nov 23, 2026, 12:04:05 PM"),
    ],
)
def test_times_have_american_form(moment: int, text: str) -> None:
    delivery = Delivery(tag=1, redelivered=False, properties=pika.BasicProperties(timestamp=moment), body=b"")

    [message] = build_event("q", "/", [delivery])["rmqMessagesByQueue"]["q::/"]
    assert message["basicProperties"]["timestamp"] == text


def test_a_batch_closes_when_it_is_full_or_its_window_is_over(queue: str, start: Start, tmp_path: Path) -> None:
    publish(queue, *tasks(tmp_path, *"abcdefg"))
    start("keeping", batch=5, window=0.4)

    paths = until(lambda: len(found := sorted(tmp_path.glob("*.event"))) == 2 and found)
    events = [msgspec.json.decode(until(path.read_bytes)) for path in paths]
    assert [len(event["rmqMessagesByQueue"][f"{queue}::/"]) for event in events] == [5, 2]
    assert int(paths[1].stem) - int(paths[0].stem) > 300_000_000


def test_a_failing_batch_is_redelivered_as_a_whole_until_it_succeeds(queue: str, start: Start, tmp_path: Path) -> None:
    publish(queue, *tasks(tmp_path, *"abc"))
    start("raising", batch=3)

    refused = tmp_path / "refused"
    until(lambda: refused.exists() and len(refused.read_text().split()) >= 2)
    (tmp_path / "pass").touch()
    before = len(refused.read_text().split())
    until(lambda: len(refused.read_text().split()) > before)

    assert set(refused.read_text().split()) == {"3"}
    assert count_ready(queue) == 0
    assert count_ready(f"{queue}.dead") == 0


def _pid(poller: Poller) -> int | None:
    """The process id of the poller's environment; None while it has no process."""
    assert isinstance(poller.environment, ChildProcessEnvironment)
    return poller.environment.pid


def _has_done(folder: Path, count: int) -> bool:
    return len(done(folder)) >= count


def test_killing_the_environment_during_batches_loses_no_message(queue: str, start: Start, tmp_path: Path) -> None:
    names = [f"m{number:03}" for number in range(60)]
    publish(queue, *tasks(tmp_path, *names, seconds=0.02))
    poller = start(batch=10)

    killed = set()
    for share in (7, 23, 41):
        until(partial(_has_done, tmp_path, share), every=0.005)
        pid = until(partial(_pid, poller))
        os.kill(pid, signal.SIGKILL)
        killed.add(pid)

    until(lambda: done(tmp_path) == set(names), seconds=40)
    until(lambda: count_ready(queue) == 0)
    workers = {pid for path in tmp_path.glob("*.done") for pid in path.read_text().split()}
    assert len(killed) == 3
    assert len(workers) == 4


def test_a_handler_that_exceeds_its_timeout_is_killed_and_its_batch_requeued(
    queue: str, start: Start, tmp_path: Path
) -> None:
    publish(queue, *tasks(tmp_path, "slow", seconds=2))
    poller = start(timeout=0.5)

    until((tmp_path / "slow.begun").exists)
    first = _pid(poller)
    until(lambda: _pid(poller) != first)
    (tmp_path / "slow.begun").unlink()
    until((tmp_path / "slow.begun").exists)

    assert done(tmp_path) == set()


def test_a_queue_has_as_many_environments_as_the_template_allows_it() -> None:
    found = mappings(lambda function: ChildProcessEnvironment(function.handler))

    assert Counter(source.queue for source, _ in found) == {
        queue.name: queue.function.environments for queue in template_map.queues()
    }
    assert len({id(environment) for _, environment in found}) == len(found)


def test_an_environment_has_a_process_group_but_no_session_of_its_own(queue: str, start: Start) -> None:
    """Processes in different sessions share the CPU whatever their niceness."""
    pid = until(partial(_pid, start()))
    until(lambda: os.getpgid(pid) == pid)

    assert os.getsid(pid) == os.getsid(0)
    assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0)


def test_heartbeats_go_on_while_a_handler_takes_long(queue: str, start: Start, tmp_path: Path) -> None:
    publish(queue, *tasks(tmp_path, "slow", seconds=3))
    poller = start(timeout=20)

    until((tmp_path / "slow.begun").exists)
    started = time.monotonic()
    until(lambda: done(tmp_path) == {"slow"})
    assert time.monotonic() - poller.active_at < 1.5
    assert time.monotonic() - started > 2
    until(lambda: count_ready(queue) == 0)
    assert len((tmp_path / "slow.done").read_text().split()) == 1


def test_a_lost_connection_is_opened_again_and_no_message_is_lost(
    queue: str, start: Start, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct = settings()
    names = [f"m{number}" for number in range(30)]
    publish(queue, *tasks(tmp_path, *names, seconds=0.03))
    monkeypatch.setenv("RABBITMQ_URL", proxy.url)
    settings.cache_clear()
    start(batch=5)

    until(lambda: len(done(tmp_path)) >= 4)
    proxy.cut()
    until(lambda: len(done(tmp_path)) >= 12)
    proxy.close()
    quiet = threading.Event()
    quiet.wait(1)
    proxy.open()

    until(lambda: done(tmp_path) == set(names), seconds=30)
    monkeypatch.setenv("RABBITMQ_URL", direct.rabbitmq_url)
    settings.cache_clear()
    until(lambda: count_ready(queue) == 0)


def test_a_restart_of_the_broker_loses_no_message(queue: str, start: Start, tmp_path: Path) -> None:
    names = [f"m{number}" for number in range(40)]
    publish(queue, *tasks(tmp_path, *names, seconds=0.03))
    start(batch=5)

    until(lambda: len(done(tmp_path)) >= 8)
    services.restart("rabbitmq")

    until(lambda: done(tmp_path) == set(names), seconds=30)
    until(lambda: count_ready(queue) == 0)


def test_when_stopped_it_finishes_and_acknowledges_the_running_batch(queue: str, start: Start, tmp_path: Path) -> None:
    publish(queue, *tasks(tmp_path, "a", "b", "c", seconds=0.5), *tasks(tmp_path, "d", "e"))
    poller = start(batch=3)
    until((tmp_path / "a.begun").exists)
    start.stop()  # type: ignore[attr-defined]
    poller.join(timeout=10)

    assert done(tmp_path) == {"a", "b", "c"}
    assert until(lambda: count_ready(queue) == 2)


def test_it_waits_for_a_queue_that_does_not_exist_yet(start: Start, queue: str, tmp_path: Path) -> None:
    with channel() as opened:
        opened.queue_delete(queue)
    start()
    with channel() as opened:
        opened.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
    publish(queue, *tasks(tmp_path, "a"))

    until(lambda: done(tmp_path) == {"a"}, seconds=15)


def test_a_message_larger_than_the_event_limit_is_dead_lettered_with_its_error_and_others_are_delivered(
    queue: str, start: Start, tmp_path: Path
) -> None:
    big = {"folder": str(tmp_path), "name": "big", "padding": "x" * (7 * 1024 * 1024)}
    publish(queue, *tasks(tmp_path, "a"))
    publish(queue, big, headers={"x-trace-id": "t", "other": 7})
    publish(queue, *tasks(tmp_path, "b"))
    start(batch=10)

    until(lambda: done(tmp_path) == {"a", "b"})
    letter = take(f"{queue}.dead")
    assert letter.body == msgspec.json.encode(big)
    error = letter.headers.pop("x-error")
    assert error.startswith(f"EventTooLarge: The body has {len(letter.body):,} bytes, ")
    assert letter.headers == {"x-trace-id": "t", "other": 7}
    assert [count_ready(name) for name in (queue, f"{queue}.dead", f"{queue}.wait-1000")] == [0, 0, 0]
    assert [len(path.read_text().split()) for path in tmp_path.glob("*.done")] == [1, 1]


def test_a_message_that_is_too_large_stays_in_its_queue_until_it_is_a_dead_letter(
    queue: str, start: Start, tmp_path: Path
) -> None:
    with channel() as opened:
        opened.queue_delete(f"{queue}.dead")
    publish(queue, {"padding": "x" * MAX_EVENT_BYTES})
    start()

    quiet = threading.Event()
    quiet.wait(1)
    with channel() as opened:
        opened.queue_declare(f"{queue}.dead", durable=True, arguments={"x-queue-type": "quorum"})
    assert take(f"{queue}.dead", seconds=15).headers["x-error"].startswith("EventTooLarge: ")


def test_large_messages_are_spread_over_several_events(queue: str, start: Start, tmp_path: Path) -> None:
    large = [{"folder": str(tmp_path), "name": name, "padding": "x" * (MAX_EVENT_BYTES * 2 // 5)} for name in "abc"]
    publish(queue, *large)
    start("keeping", batch=10)

    assert len(until(lambda: len(found := list(tmp_path.glob("*.event"))) == 3 and found)) == 3


def test_a_failing_message_is_dead_lettered_with_its_error_and_others_are_processed(
    queue: str, start: Start, tmp_path: Path
) -> None:
    started = time.monotonic()
    poison = {"folder": str(tmp_path), "name": "poison", "fails": True}
    publish(queue, *tasks(tmp_path, "a"), poison, *tasks(tmp_path, "b"))
    start(batch=10)

    until(lambda: done(tmp_path) == {"a", "b"})
    letter = take(f"{queue}.dead", seconds=20)
    assert letter.headers["x-error"] == "RuntimeError: poison fails"
    assert 7 <= time.monotonic() - started < 15


def test_two_consumers_share_a_queue_and_process_each_message_once(queue: str, start: Start, tmp_path: Path) -> None:
    names = [f"m{number}" for number in range(40)]
    publish(queue, *tasks(tmp_path, *names, seconds=0.02))
    start(batch=3)
    start(batch=3)

    until(lambda: done(tmp_path) == set(names), seconds=30)
    runs = [path.read_text().split() for path in tmp_path.glob("*.done")]
    assert all(len(run) == 1 for run in runs)
    assert len({run[0] for run in runs}) == 2
