"""The stores, for a look from outside."""

import functools

import redis

from layers.core.settings import settings


@functools.cache
def valkey() -> redis.Redis:
    """A client of the test stack's Valkey."""
    return redis.Redis.from_url(settings().valkey_url)
