"""How long a message waits for the disk: the way it is written, and the window in which writes share a sync.

python -m tests.bench.message_writes [--windows 1ms,2ms,5ms,batch] [--senders 1,8,32] [--seconds 4]

For each window a Cassandra of its own is started with the project's configuration, on free ports and with data in a
temporary folder. `batch` is `commitlog_sync: batch`: no window, a write is synced at once, and those that arrive
meanwhile share the next sync. In all of them an acknowledged write is on the disk.

So many senders write at once, each the next message after the last one was acknowledged:

- an insert: one row of one table, the floor
- a message: as it is sent, one write of two tables
- a batch: the message, both entries of lists and the mark of the sender as one logged batch, as it was before decision
  39 (docs/decisions/0039-a-message-is-one-write.md)

The table shows writes per second, their median time, and Cassandra's CPU time per write.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
import psutil

from infra.migrate import migrate_cassandra
from infra.stack import pins
from layers.cassandra import connection, conversations, inboxes, message_ids, messages
from layers.cassandra.connection import Statement
from layers.cassandra.messages import StoredMessage
from layers.core.errors import StoreUnavailable
from layers.core.ids import new_id
from layers.core.settings import settings
from tests.bench.aims import Aim, report
from tests.support.hosts import free_port
from tests.support.stack import ROOT
from tests.support.waiting import until

WARM_SECONDS: Final = 3
CONVERSATIONS: Final = 100
CONFIGURED: Final = "2ms"
"""The window in infra/cassandra/cassandra.yaml; aims are for this one."""

ALONE: Final = Aim(name="time of a message / an insert, 1 sender", at_most=1.3)
TOGETHER: Final = Aim(name="messages / inserts per second, 32 senders", at_least=0.65)
AGAINST_BATCH: Final = Aim(name="messages / logged batches per second, 32 senders", at_least=1.5)


class Figures(msgspec.Struct, frozen=True):
    """What some senders reached."""

    per_second: float
    median_ms: float
    cassandra_cpu_ms: float
    """Per write."""


def main() -> None:
    """Start, measure and stop each Cassandra; print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", default=CONFIGURED)
    parser.add_argument("--senders", default="1,8,32")
    parser.add_argument("--seconds", type=float, default=4)
    arguments = parser.parse_args()
    senders = [int(number) for number in arguments.senders.split(",")]
    print(f"{'window':8} {'senders':>7}  {'write':8} {'per s':>8} {'p50 ms':>8} {'Cassandra CPU ms':>17}")
    found: dict[tuple[str, int, str], Figures] = {}
    for window in arguments.windows.split(","):
        with _cassandra(window) as process:
            write = _writes()
            for name in write:
                _measure(write[name], 8, WARM_SECONDS, process)
            for number in senders:
                for name in write:
                    figures = _measure(write[name], number, arguments.seconds, process)
                    found[window, number, name] = figures
                    print(
                        f"{window:8} {number:7}  {name:8} {figures.per_second:8.0f} {figures.median_ms:8.2f}"
                        f" {figures.cassandra_cpu_ms:17.2f}",
                        flush=True,
                    )
    report("message_writes", _judge(found))


def _judge(found: dict[tuple[str, int, str], Figures]) -> dict[Aim, float]:
    measured = {}
    if (alone := found.get((CONFIGURED, 1, "message"))) and (insert := found.get((CONFIGURED, 1, "insert"))):
        measured[ALONE] = alone.median_ms / insert.median_ms
    if together := found.get((CONFIGURED, 32, "message")):
        measured[TOGETHER] = together.per_second / found[CONFIGURED, 32, "insert"].per_second
        measured[AGAINST_BATCH] = together.per_second / found[CONFIGURED, 32, "batch"].per_second
    return measured


@contextmanager
def _cassandra(window: str) -> Iterator[psutil.Process]:
    """A Cassandra with this window, which this process reaches; migrated."""
    with tempfile.TemporaryDirectory(prefix="message-writes-", dir="/var/tmp") as name:
        folder = Path(name)
        port = free_port()
        _configure(folder, port, window)
        command = [
            *("setpriv", "--pdeathsig", "KILL", "java", f"@{folder}/jvm.options"),
            f"-javaagent:{next(pins.cassandra().glob('jamm-*.jar'))}",
            f"-Dcassandra.config=file://{folder}/cassandra.yaml",
            f"-Dcassandra.storagedir={folder}/cassandra",
            f"-Dlogback.configurationFile=file://{folder}/logback.xml",
            *("-cp", f"{pins.cassandra()}/*", "org.apache.cassandra.service.CassandraDaemon"),
        ]
        with (folder / "output").open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as java:
            try:
                os.environ |= {"CASSANDRA_HOSTS": "127.0.0.1", "CASSANDRA_PORT": str(port)}
                settings.cache_clear()
                until(_answers, seconds=90, every=0.5)
                migrate_cassandra()
                yield psutil.Process(java.pid)
            finally:
                connection.close()
                java.kill()


def _configure(folder: Path, port: int, window: str) -> None:
    values = {
        "cassandra_port": str(port),
        "cassandra_nodes_port": str(free_port()),
        "cassandra_folder": str(folder / "cassandra"),
        "config_folder": str(folder),
    }
    for name in ("cassandra.yaml", "jvm.options", "logback.xml"):
        text = (ROOT / "infra" / "cassandra" / name).read_text()
        for key, value in values.items():
            text = text.replace("{{" + key + "}}", value)
        if name == "cassandra.yaml":
            text = "\n".join(line for line in text.splitlines() if not line.startswith("commitlog_sync"))
            sync = "batch" if window == "batch" else f"group\ncommitlog_sync_group_window: {window}"
            text += f"\ncommitlog_sync: {sync}\n"
        (folder / name).write_text(text)


def _answers() -> bool:
    try:
        connection.connect(None).cluster.shutdown()
    except Exception:  # noqa: BLE001 (whatever the driver raises while Cassandra starts)
        return False
    return True


def _writes() -> dict[str, Callable[[int], None]]:
    """The kinds of writes by name; the argument is the number of the conversation."""
    talks = [
        (conversations.open_pair(*users).id, users) for users in ((new_id(), new_id()) for _ in range(CONVERSATIONS))
    ]
    bucket = messages.find_bucket(talks[0][0], message_ids.from_id(new_id())).starts_at

    def insert(number: int) -> None:
        talk, (one, other) = talks[number % CONVERSATIONS]
        connection.execute(*inboxes.pair_statement(talk, one, other))

    def message(number: int) -> None:
        talk, (sender, _) = talks[number % CONVERSATIONS]
        messages.add(talk, bucket, _message(sender))

    def batch(number: int) -> None:
        talk, users = talks[number % CONVERSATIONS]
        connection.write_together(_batch(talk, users, bucket))

    return {"insert": insert, "message": message, "batch": batch}


def _message(sender: UUID) -> StoredMessage:
    return StoredMessage(
        message_id=message_ids.from_id(new_id()),
        sender_id=sender,
        content="The quick brown fox jumps over the lazy dog.",
        content_type="text",
        media_url=None,
        reply_to_id=None,
    )


def _batch(talk: UUID, users: tuple[UUID, UUID], bucket: object) -> list[Statement]:
    """Writes of four partitions, as many as a message was before."""
    one, other = users
    message = _message(one)
    values = {
        "conversation_id": talk,
        "bucket": bucket,
        "message_id": message.message_id,
        "sender_id": one,
        "content": message.content,
        "content_type": message.content_type,
        "seconds": 10**7,
        "sent": message_ids.microseconds(message.message_id),
    }
    mark, _ = conversations.mark_read_statements(talk, one, message.message_id)
    lists = (inboxes.pair_statement(talk, one, other), inboxes.pair_statement(talk, other, one))
    return [(messages.ADD, values), *lists, mark]


def _measure(write: Callable[[int], None], senders: int, seconds: float, cassandra: psutil.Process) -> Figures:
    took: list[float] = []
    failed: list[Exception] = []
    started, ends_at = _cpu_seconds(cassandra), time.monotonic() + seconds

    def send(number: int) -> None:
        while (begun := time.monotonic()) < ends_at and not failed:
            try:
                write(number)
            except StoreUnavailable as error:
                failed.append(error)
            number += senders
            took.append(time.monotonic() - begun)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    used = _cpu_seconds(cassandra) - started
    return Figures(len(took) / seconds, statistics.median(took) * 1000, used / len(took) * 1000)


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    main()
