"""The stores, for a look from outside."""

import functools

import psycopg
import redis

from layers.core.settings import settings


def somebody_waits_for_a_lock() -> bool:
    """Whether a transaction stands still because of another's."""
    with psycopg.connect(settings().database_url, autocommit=True) as db:
        return bool(db.execute("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchall())


@functools.cache
def valkey() -> redis.Redis:
    """A client of the test stack's Valkey."""
    return redis.Redis.from_url(settings().valkey_url)
