"""When the log of RabbitMQ's queues fails, as on a full disk, the node ends and starts again with all messages."""

import os
import secrets
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import services
from tests.support.queues import channel, publish, rabbitmqctl, take
from tests.support.stack import ROOT
from tests.support.waiting import until

_REGISTERED_SECONDS = 1.5
START = ROOT / "infra" / "rabbitmq" / "start.sh"


@pytest.fixture
def queue() -> Iterator[str]:
    """A queue without wait queues: RabbitMQ 3.10 cannot delete those while it starts. It knows the log of a new queue
    after a kill when half a second has passed.
    """
    name = f"test-{secrets.token_hex(5)}"
    with channel() as opened:
        opened.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})
    threading.Event().wait(_REGISTERED_SECONDS)
    yield name
    with channel() as opened:
        opened.queue_delete(name)


@pytest.mark.parametrize("process", ["ra_log_wal", "rabbit_fifo_dlx_sup"])
def test_a_node_without_a_part_that_queues_need_ends_and_comes_back_with_what_it_confirmed(
    queue: str, process: str
) -> None:
    node = services.process("rabbitmq")
    publish(queue, *range(10))
    rabbitmqctl("eval", f"timer:apply_after(100, erlang, exit, [whereis({process}), kill]).")

    until(lambda: not node.is_running())
    until(lambda: services.answers("rabbitmq"), seconds=60)
    assert [take(queue, seconds=30).body for _ in range(10)] == [b"%d" % number for number in range(10)]


def test_it_starts_only_when_its_disk_has_room(tmp_path: Path) -> None:
    """The program that tells how much is free says what the test wants."""
    free, df = tmp_path / "free", tmp_path / "df"
    df.write_text(f"#!/bin/sh\necho Avail\ncat {free}\n")
    df.chmod(0o755)
    free.write_text("99\n")
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    started = tmp_path / "started"
    with subprocess.Popen(["sh", START, tmp_path, "touch", started], env=environment) as starting:
        try:
            assert not _ends(starting, seconds=1.5)
            assert not started.exists()
            free.write_text("100\n")
            assert _ends(starting, seconds=10)
        finally:
            starting.kill()
    assert started.exists()


def _ends(process: subprocess.Popen[bytes], *, seconds: float) -> bool:
    try:
        return process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        return False
