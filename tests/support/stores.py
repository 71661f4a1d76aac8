"""The stores, for a look from outside."""

import functools
import time
from typing import Any
from uuid import UUID

import psycopg
import redis

from layers.cassandra import profiles
from layers.cassandra.profiles import ProfileCopy
from layers.core.errors import StoreUnavailable
from layers.core.ids import new_id
from layers.core.settings import settings
from layers.media import connection as storage
from layers.valkey import timelines


def somebody_waits_for_a_lock() -> bool:
    """Whether a transaction stands still because of another's."""
    with psycopg.connect(settings().database_url, autocommit=True) as db:
        return bool(db.execute("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchall())


@functools.cache
def valkey() -> redis.Redis:
    """A client of the test stack's Valkey."""
    return redis.Redis.from_url(settings().valkey_url)


def valkey_answers() -> bool:
    """Whether this process asks Valkey, and Valkey answers."""
    try:
        timelines.push([], new_id())
    except StoreUnavailable:
        return False
    return True


def storage_answers() -> bool:
    """Whether this process asks the object store, and the store answers."""
    try:
        storage.exists("tests/x")
    except StoreUnavailable:
        return False
    return True


def seconds_to_end(key: str | bytes) -> float:
    """How long a key of Valkey still lives that must not be evicted: such keys have an end, and no expiry."""
    assert valkey().ttl(key) == -1, "the key does not exist, or may be evicted"
    ends: Any = valkey().zscore("deadlines", key)
    return float(ends) - time.time()


def end_in(seconds: float, key: str | bytes) -> None:
    """Let such a key end then."""
    ends: dict[Any, float] = {key: time.time() + seconds}
    valkey().zadd("deadlines", ends)


FORGET = """
    local gone = {}
    for _, key in ipairs(redis.call('KEYS', '*')) do
        for _, mark in ipairs(ARGV) do
            if string.find(key, mark, 1, true) then
                redis.call('UNLINK', key)
                gone[#gone + 1] = key
                break
            end
        end
    end
    return gone
"""


def forget_in_valkey(*ids: UUID) -> set[bytes]:
    """Delete every key whose name holds one of these ids, as 16 bytes or as text; returns the names."""
    marks = [mark for each in ids for mark in (each.bytes, str(each).encode())]
    return set(valkey().eval(FORGET, 0, *marks))


def read_profile(user_id: UUID) -> ProfileCopy | None:
    """The copy of an account in Cassandra; None before its first event has arrived."""
    return profiles.read_all([user_id]).get(user_id)
