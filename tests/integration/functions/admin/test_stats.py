"""The numbers that admins read."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pika
import psycopg
import pytest

from functions.admin import get_stats
from infra.local import metrics
from layers.core.breaker import BreakerState
from layers.core.events import QUEUES
from layers.core.settings import settings
from layers.media import connection as storage
from layers.media import usage
from layers.media.connection import StoredFile
from layers.postgres import administration
from layers.rabbitmq import connection as broker
from tests.support.calls import call
from tests.support.people import Person
from tests.support.proxies import Proxies, Proxy, rabbitmq_through_a_proxy
from tests.support.queues import channel
from tests.support.trail import trail_of
from tests.support.waiting import until


def _stats(admin: Person) -> dict[str, Any]:
    reply = call(get_stats, session_id=admin.session_id)
    assert reply.status == 200, reply.body
    stats: dict[str, Any] = reply.json["stats"]
    return stats


def test_all_numbers_are_there(admin: Person) -> None:
    reply = call(get_stats, session_id=admin.session_id)

    shape = {name: set(numbers) for name, numbers in reply.json["stats"].items()}
    assert shape == {
        "users": {"total", "active", "banned", "createdLast24h"},
        "posts": {"total", "processing", "published", "failed", "deleted", "createdLast24h"},
        "stories": {"active"},
        "comments": {"total"},
        "likes": {"total"},
        "follows": {"total"},
        "sessions": {"active"},
        "queue": {"depth", "deadLetter"},
        "storage": {"bytes"},
    }
    numbers = [number for several in reply.json["stats"].values() for number in several.values()]
    assert all(isinstance(number, int) and number >= 0 for number in numbers[:-1])
    assert reply.json["generatedAt"].endswith("Z")


MADE = """
    WITH people AS (
        INSERT INTO users (id, username, email, password_hash, display_name, banned_at, created_at)
        SELECT gen_random_uuid(), 'stats_' || n, 'stats_' || n || '@example.org', '!', 'S',
               CASE WHEN n = 1 THEN now() END, now() - n * interval '23 h'
          FROM generate_series(1, 3) AS n
        RETURNING id, username
    ), one AS (
        SELECT id FROM people WHERE username = 'stats_2'
    ), other AS (
        SELECT id FROM people WHERE username = 'stats_3'
    ), made AS (
        INSERT INTO posts (id, user_id, status, created_at)
        SELECT gen_random_uuid(), one.id, status, now() - place * interval '23 h'
          FROM one, unnest(ARRAY['processing', 'published', 'failed', 'deleted'])
               WITH ORDINALITY AS each (status, place)
        RETURNING id, status
    ), post AS (
        SELECT id FROM made WHERE status = 'published'
    ), liked AS (
        INSERT INTO likes (user_id, post_id) SELECT other.id, post.id FROM other, post
    ), said AS (
        INSERT INTO comments (id, post_id, user_id, content)
        SELECT gen_random_uuid(), post.id, other.id, 'Lovely' FROM other, post
    ), followed AS (
        INSERT INTO follows (follower_id, following_id) SELECT other.id, one.id FROM other, one
    ), told AS (
        INSERT INTO stories (id, user_id, expires_at)
        SELECT gen_random_uuid(), one.id, now() + (n - 0.5) * interval '1 h' FROM one, generate_series(0, 1) AS n
    )
    INSERT INTO sessions (id_hash, user_id, expires_at, ends_at)
    SELECT decode('0' || n, 'hex'), one.id, now() + (n - 0.5) * interval '1 h', now()
      FROM one, generate_series(0, 1) AS n
"""
"""Two days' accounts, posts in every state, one story and one session that live and one each that ended."""


def test_everything_is_counted_by_its_state() -> None:
    """In one transaction, whose snapshot other tests do not change."""

    def numbers(counts: administration.RowCounts) -> dict[str, int]:
        named = {
            f"{name}.{each}": getattr(getattr(counts, name), each)
            for name in counts.__struct_fields__
            for each in getattr(counts, name).__struct_fields__
        }
        assert None not in named.values()
        return named

    with psycopg.connect(settings().database_url) as db:
        db.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        before = numbers(administration.count_rows(db))
        db.execute(MADE)
        after = numbers(administration.count_rows(db))
        db.rollback()

    assert {name: after[name] - before[name] for name in before} == {
        "users.total": 3,
        "users.active": 2,
        "users.banned": 1,
        "users.created_last_24h": 1,
        "posts.total": 4,
        "posts.processing": 1,
        "posts.published": 1,
        "posts.failed": 1,
        "posts.deleted": 1,
        "posts.created_last_24h": 1,
        "stories.active": 1,
        "comments.total": 1,
        "likes.total": 1,
        "follows.total": 1,
        "sessions.active": 1,
    }


def _put(queue: str) -> None:
    """A message that leaves the queue after a minute, when the test is over."""
    with channel() as opened:
        opened.basic_publish(
            "", queue, b"{}", pika.BasicProperties(delivery_mode=2, expiration="60000"), mandatory=True
        )


@pytest.mark.parametrize("queue", QUEUES)
def test_dead_letters_of_every_queue_are_counted(admin: Person, queue: str) -> None:
    def counted() -> bool:
        before = _stats(admin)["queue"]
        _put(f"{queue}.dead")
        after = _stats(admin)["queue"]
        return bool(after["deadLetter"] == before["deadLetter"] + 1)

    assert until(counted, seconds=40, every=1)


@pytest.mark.parametrize("queue", QUEUES)
def test_waiting_messages_of_every_queue_are_counted(admin: Person, queue: str) -> None:
    def counted() -> bool:
        before = _stats(admin)["queue"]
        _put(queue)
        after = _stats(admin)["queue"]
        return bool(after == before | {"depth": before["depth"] + 1})

    assert until(counted, seconds=40, every=1)


def test_storage_holds_the_bytes_of_all_objects(admin: Person) -> None:
    key = f"unnotified/{secrets.token_hex(6)}"

    def measured(look: Callable[[], int]) -> bool:
        """Whether the object is the only difference: other tests may store objects in between."""
        before = look()
        storage.put_all([StoredFile(key, bytes(123_457), "image/jpeg")])
        after = look()
        storage.remove([key])
        return after - before == 123_457

    def gauge() -> int:
        [line] = [
            line for line in metrics.response()[2].decode().splitlines() if line.startswith("storage_bytes_total")
        ]
        assert line.startswith(f'storage_bytes_total{{bucket="{settings().s3_bucket}"}} ')
        return int(float(line.rpartition(" ")[2]))

    assert until(lambda: measured(_all_bytes), seconds=60)
    assert until(lambda: _stats(admin)["storage"]["bytes"] == _all_bytes(), seconds=60)
    assert until(lambda: gauge() == _all_bytes(), seconds=60)


def _all_bytes() -> int:
    return usage.ByteCounter().stored_bytes(seconds=60) or 0


def test_a_bucket_that_cannot_be_listed_in_time_has_no_size_until_it_was() -> None:
    for number in range(3):
        storage.put_all([StoredFile(f"unnotified/{secrets.token_hex(6)}-{number}", bytes(1000), "image/jpeg")])
    count = usage.ByteCounter()

    assert count.stored_bytes(seconds=0) is None
    assert until(lambda: count.stored_bytes(seconds=0.01), seconds=60) == _all_bytes()
    assert count.stored_bytes(seconds=0) == _all_bytes()


@pytest.mark.rule("R-D1")
def test_with_the_object_store_down_its_number_alone_is_null(admin: Person, store_proxy: Proxy) -> None:
    store_proxy.close()
    stats = _stats(admin)

    assert stats["storage"] == {"bytes": None}
    assert stats["users"]["total"] > 0
    assert stats["queue"]["depth"] >= 0


@pytest.fixture
def broker_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """All that this test asks of RabbitMQ goes through here; its breaker forgets afterwards."""
    with rabbitmq_through_a_proxy(monkeypatch) as proxy:
        yield proxy
    broker._breaker._outcomes.clear()
    broker._breaker._state = BreakerState.CLOSED


@pytest.mark.rule("R-D1")
def test_with_rabbitmq_down_its_numbers_alone_are_null(admin: Person, broker_proxy: Proxy) -> None:
    assert _stats(admin)["queue"]["depth"] >= 0
    broker_proxy.close()
    stats = _stats(admin)

    assert stats["queue"] == {"depth": None, "deadLetter": None}
    assert stats["posts"]["total"] >= 0


@pytest.mark.rule("R-D1")
def test_with_the_database_down_what_it_counts_is_null(admin: Person, proxies: Proxies) -> None:
    assert _stats(admin)["users"]["total"] > 0
    proxies.database.close()
    stats = _stats(admin)

    counted = [stats.pop(name) for name in ("users", "posts", "stories", "comments", "likes", "follows", "sessions")]
    assert {number for numbers in counted for number in numbers.values()} == {None}
    assert stats["queue"]["depth"] >= 0


def test_reading_them_leaves_a_note(admin: Person) -> None:
    _stats(admin)

    assert [entry.action for entry in trail_of(admin)] == ["read_stats"]
