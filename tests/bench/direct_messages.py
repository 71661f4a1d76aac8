"""Direct messages in our tables and in those of the original design, in one Cassandra.

python -m tests.bench.direct_messages [--messages 500000] [--rounds 200]

- The time to read the last 50 messages of a conversation with so many messages, sent over four months, against the
  same in a conversation with 100.
- The tombstones in a read of an inbox after 5,000 messages in 12 conversations, as Cassandra's tracing counts them.
- The size of the largest partition of messages: as Cassandra estimates it, and the largest possible one. Cassandra's
  documentation recommends less than 100 MB.

The same messages are written to both models, and both are read in turn; aims are for our tables.
"""

import argparse
import random
import re
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import batched, islice
from typing import Any, Final
from uuid import UUID

from cassandra.concurrent import execute_concurrent
from cassandra.query import BatchStatement, BatchType

from infra.migrate import migrate_cassandra
from layers.cassandra import connection, conversations, inboxes, message_ids, messages
from layers.cassandra.messages import StoredMessage
from layers.core.ids import floor_of, new_id
from tests.bench.aims import Aim, report
from tests.support.messages import store
from tests.support.stack import load_environment

PAGE, SMALL = 50, 100
INBOX_CONVERSATIONS, INBOX_MESSAGES = 12, 5000
SPAN = timedelta(days=120)
AT_ONCE, IN_BATCH = 32, 50
FILL_SECONDS = 60
MEANWHILE = 32 * 1000 * 5 // 60
"""Messages that a full group may send, at the general limit, until the next bucket begins."""
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "while", "it", "rains"]

PAGE_TIME: Final = Aim(name="time of a page, large conversation / 100 messages", at_most=1.5)
TOMBSTONES: Final = Aim(name="tombstones in a read of an inbox", at_most=10)
PARTITION: Final = Aim(name="largest possible partition, MB", at_most=100)
AIMS: Final = (PAGE_TIME, TOMBSTONES, PARTITION)

ORIGINAL = """
    CREATE KEYSPACE IF NOT EXISTS original_dm
      WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1};
    DROP TABLE IF EXISTS original_dm.messages_by_conversation;
    DROP TABLE IF EXISTS original_dm.conversations_by_user;
    CREATE TABLE original_dm.messages_by_conversation (
        conversation_id uuid, message_id timeuuid, sender_id uuid, content text, content_type text, media_url text,
        reply_to_message_id timeuuid, created_at timestamp, PRIMARY KEY (conversation_id, message_id)
    ) WITH CLUSTERING ORDER BY (message_id DESC) AND default_time_to_live = 31536000;
    CREATE TABLE original_dm.conversations_by_user (
        user_id uuid, last_message_at timestamp, conversation_id uuid, other_user_id uuid, other_username text,
        other_profile_picture text, last_message_preview text, unread_count int, is_muted boolean,
        PRIMARY KEY (user_id, last_message_at, conversation_id)
    ) WITH CLUSTERING ORDER BY (last_message_at DESC)
"""
ORIGINAL_ADD = """
    INSERT INTO original_dm.messages_by_conversation
           (conversation_id, message_id, sender_id, content, content_type, created_at) VALUES (?, ?, ?, ?, 'text', ?)
"""
ORIGINAL_PAGE = "SELECT * FROM original_dm.messages_by_conversation WHERE conversation_id = ? LIMIT 50"
ORIGINAL_MOVE = """
    DELETE FROM original_dm.conversations_by_user WHERE user_id = ? AND last_message_at = ? AND conversation_id = ?
"""
ORIGINAL_PUT = """
    INSERT INTO original_dm.conversations_by_user
           (user_id, last_message_at, conversation_id, other_username, last_message_preview, unread_count)
    VALUES (?, ?, ?, 'grace', ?, 1)
"""
ORIGINAL_INBOX = "SELECT * FROM original_dm.conversations_by_user WHERE user_id = ? LIMIT 20"


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=200)
    arguments = parser.parse_args()
    load_environment()
    migrate_cassandra()
    session = connection.connect(None)
    session.cluster.profile_manager.default.request_timeout = FILL_SECONDS
    for statement in ORIGINAL.split(";"):
        session.execute(statement, timeout=30)
    session.set_keyspace("instagram_dm")
    large, small = new_id(), new_id()
    for conversation_id, count in ((small, SMALL), (large, arguments.messages)):
        started = time.monotonic()
        _fill(session, conversation_id, count)
        print(f"{count} messages, in both models: {time.monotonic() - started:.0f} s", flush=True)
    measured = {
        PAGE_TIME: _compare_pages(session, small, large, arguments.rounds),
        TOMBSTONES: _compare_inboxes(session),
        PARTITION: _show_partitions(session),
    }
    session.cluster.shutdown()
    report("direct_messages", measured)


def _fill(session: Any, conversation_id: UUID, count: int) -> None:
    """Write messages over the span, the last one now; buckets begin where sending would have announced them."""
    people = [new_id(), new_id()]
    add = session.prepare(messages.ADD)
    announce = session.prepare(messages.ANNOUNCE)
    original = session.prepare(ORIGINAL_ADD)
    ours: list[dict[str, Any]] = []
    theirs: list[tuple[Any, ...]] = []
    buckets = [datetime.fromtimestamp(0, UTC)]
    in_bucket = 0

    def flush() -> None:
        batches = []
        for prepared, rows in ((add, ours), (original, theirs)):
            for some in batched(rows, IN_BATCH, strict=False):
                batch = BatchStatement(BatchType.UNLOGGED)
                for row in some:
                    batch.add(prepared, row)
                batches.append((batch, ()))
            rows.clear()
        execute_concurrent(session, batches, concurrency=AT_ONCE)

    for message_id in _ids(count):
        at = message_ids.time_of(message_id)
        calendar = messages._EPOCH + (at - messages._EPOCH) // messages._BUCKET * messages._BUCKET
        if calendar > buckets[-1] or in_bucket >= messages._FULL:
            buckets.append(
                max(calendar, at.replace(microsecond=at.microsecond // 1000 * 1000)) if in_bucket else calendar
            )
            session.execute(announce, (conversation_id, buckets[-1], 10**7))
            in_bucket = 0
        in_bucket += 1
        sender, content = random.choice(people), " ".join(random.choices(WORDS, k=random.randint(1, 40)))
        values = {
            "conversation_id": conversation_id,
            "bucket": buckets[-1],
            "message_id": message_id,
            "sender_id": sender,
            "content": content,
            "content_type": "text",
            "seconds": messages._retention_seconds(),
            "sent": message_ids.microseconds(message_id),
        }
        ours.append(values)
        theirs.append((conversation_id, message_id, sender, content, at))
        if len(ours) == 5000:
            flush()
    flush()


def _ids(count: int) -> Iterator[UUID]:
    begin = datetime.now(UTC) - SPAN
    for number in range(count):
        of_then = floor_of(begin + SPAN * (number + 1) / count)
        yield message_ids.from_id(UUID(int=of_then.int | (new_id().int & ((1 << 64) - 1)) | (0x7 << 76) | (0x2 << 62)))


def _compare_pages(session: Any, small: UUID, large: UUID, rounds: int) -> float:
    """Print the time of a page in each model and conversation; ours of the large one against the small one."""
    page = session.prepare(ORIGINAL_PAGE)

    def ours(conversation_id: UUID) -> Callable[[], int]:
        def read() -> int:
            found = list(islice(messages.read_newest_first(conversation_id, before=None, at_once=PAGE + 1), PAGE + 1))
            messages.read_reactions(conversation_id, found)
            return len(found)

        return read

    def original(conversation_id: UUID) -> Callable[[], int]:
        return lambda: len(list(session.execute(page, (conversation_id,))))

    sides = {
        "ours, 100": ours(small),
        "ours, large": ours(large),
        "original, 100": original(small),
        "original, large": original(large),
    }
    took: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, read in sides.items():
            started = time.perf_counter()
            assert read() >= PAGE
            took[name].append((time.perf_counter() - started) * 1000)
    medians = {name: statistics.median(times) for name, times in took.items()}
    for name, median in medians.items():
        print(f"last {PAGE} of a conversation, {name}: {median:.2f} ms")
    print(f"original, large / 100: {medians['original, large'] / medians['original, 100']:.2f}")
    print(f"large, ours / original: {medians['ours, large'] / medians['original, large']:.2f}")
    return medians["ours, large"] / medians["ours, 100"]


def _compare_inboxes(session: Any) -> int:
    """Send messages to one account in both models, and print the tombstones in its inbox; ours."""
    reader, others = new_id(), [new_id() for _ in range(INBOX_CONVERSATIONS)]
    talks = [conversations.open_pair(reader, other).id for other in others]
    move, put = session.prepare(ORIGINAL_MOVE), session.prepare(ORIGINAL_PUT)
    last: dict[UUID, datetime] = {}
    for number in range(INBOX_MESSAGES):
        talk = talks[number % len(talks)]
        message = StoredMessage(
            message_id=message_ids.from_id(new_id()),
            sender_id=others[number % len(talks)],
            content="Hello",
            content_type="text",
            media_url=None,
            reply_to_id=None,
        )
        store(talk, message)
        at = message_ids.time_of(message.message_id)
        if talk in last:
            session.execute(move, (reader, last[talk], talk))
        session.execute(put, (reader, at, talk, "Hello"))
        last[talk] = at
    newest = {
        "conversation_ids": talks,
        "bucket": messages.find_bucket(talks[0], message_ids.from_id(new_id())).starts_at,
    }
    found = _count_tombstones(session, inboxes.READ_ALL, {"user_id": reader})
    found += _count_tombstones(session, messages.READ_NEWEST, newest)
    original = _count_tombstones(session, ORIGINAL_INBOX, (reader,))
    print(f"tombstones in an inbox after {INBOX_MESSAGES} messages: ours {found}, the original's {original}")
    return found


def _count_tombstones(session: Any, statement: str, values: object) -> int:
    result = session.execute(session.prepare(statement), values, trace=True)
    assert len(list(result)) == INBOX_CONVERSATIONS
    found = (re.search(r"and (\d+) tombstone", event.description) for event in result.get_query_trace().events)
    return sum(int(each[1]) for each in found if each)


def _show_partitions(session: Any) -> float:
    """Print the largest partitions of messages; the megabytes of the largest that is possible in our table."""
    rows = session.execute("SELECT keyspace_name, table_name, mebibytes FROM system_views.max_partition_size")
    for row in sorted(rows, key=lambda row: -row["mebibytes"]):
        if row["keyspace_name"] in ("instagram_dm", "original_dm") and "messages" in row["table_name"]:
            print(f"largest partition of {row['keyspace_name']}.{row['table_name']}: {row['mebibytes']} MiB")
    largest = messages._FULL + 20 * messages._CHECK_EVERY + MEANWHILE
    print(f"largest possible of ours: {largest} messages of 10 KiB")
    return largest * 10 * 1024 / 1e6


if __name__ == "__main__":
    main()
