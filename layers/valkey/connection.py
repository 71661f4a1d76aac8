"""The connection of each thread to Valkey, opened at first use, and the Lua scripts that run in Valkey.

Valkey holds copies only and must run without persistence: lost data are read again from PostgreSQL and Cassandra, but
data restored after a restart could be outdated.
"""

import functools
import hashlib
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError, ResponseError
from redis.retry import Retry

from layers.core.breaker import Breaker, BreakerState
from layers.core.errors import StoreUnavailable
from layers.core.settings import settings

type Value = bytes | str | int
type Connection = Any
"""A connection of redis-py (partly untyped), used without its client, which costs as much time as a round trip."""

_SCRIPTS = Path(__file__).parent / "lua"
_CONNECT_SECONDS = 0.3
_ANSWER_SECONDS = 0.5
_UNAVAILABLE_PREFIXES = ("BUSY", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS")
_UNAVAILABLE_ERRORS = (OutOfMemoryError, ReadOnlyError)
"""Error replies that mean that Valkey cannot serve requests at the moment."""

_breaker = Breaker("valkey", failure_ratio=0.1, volume=1, reset_seconds=1)
# One failure opens it, so an unavailable Valkey costs one attempt per second and not one per request.

_local = threading.local()
_missed_writes = threading.Event()
_stale_keys: set[bytes] = set()


class Script:
    """A Lua script, concatenated from files under `lua/`; it is sent once and then called by its digest (EVALSHA)."""

    def __init__(self, *parts: str) -> None:
        self._parts = parts

    @functools.cached_property
    def text(self) -> bytes:
        """The source of the script."""
        return b"\n".join((_SCRIPTS / f"{part}.lua").read_bytes() for part in self._parts)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-1 of the source, the name of the script in Valkey."""
        return hashlib.sha1(self.text, usedforsecurity=False).hexdigest()

    def __call__(self, *values: Value) -> Any:
        """Run the script with these values as ARGV, in one round trip. Raises `StoreUnavailable("valkey")`."""
        with _breaker.guard():
            try:
                connection = _open()
                if _stale_keys:
                    _remove_stale_keys(connection)
                return self._run(connection, values)
            except ResponseError as error:
                if not isinstance(error, _UNAVAILABLE_ERRORS) and not str(error).startswith(_UNAVAILABLE_PREFIXES):
                    raise
                _missed_writes.set()
                raise StoreUnavailable("valkey") from error
            except (redis.RedisError, OSError) as error:
                close()
                _missed_writes.set()
                raise StoreUnavailable("valkey") from error
            except BaseException:
                close()  # the reply may have been read in part
                raise

    def _run(self, connection: Connection, values: tuple[Value, ...]) -> Any:
        connection.send_command("EVALSHA", self.digest, 0, *values)
        try:
            return connection.read_response()
        except NoScriptError:
            connection.send_command("EVAL", self.text, 0, *values)
            return connection.read_response()


def mark_stale(keys: Iterable[bytes]) -> None:
    """Record that these keys missed a write: this process deletes them before its next call to Valkey."""
    _stale_keys.update(keys)


def close() -> None:
    """Close this thread's connection; the next call opens another."""
    connection: Connection | None = getattr(_local, "connection", None)
    _local.connection = None
    if connection is not None:
        connection.disconnect()


def is_circuit_open() -> bool:
    """Whether the circuit breaker is open, so that a call would fail at once."""
    return _breaker.state is BreakerState.OPEN


def has_missed_writes() -> bool:
    """Whether a call of this process has failed since the last `mark_current`."""
    return _missed_writes.is_set()


def mark_current() -> None:
    """Record that Valkey has all writes that it had missed."""
    _missed_writes.clear()


def _open() -> Connection:
    connection: Connection | None = getattr(_local, "connection", None)
    if connection is not None and _is_alive(connection):
        return connection
    close()
    opened: Connection = redis.ConnectionPool.from_url(
        settings().valkey_url,
        protocol=2,
        socket_connect_timeout=_CONNECT_SECONDS,
        socket_timeout=_ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    ).make_connection()
    opened.connect()
    _local.connection = opened
    return opened


def _is_alive(connection: Connection) -> bool:
    """Whether the idle connection is still open: Valkey sends data on it only when it closes it."""
    try:
        return not connection.can_read(timeout=0)
    except redis.ConnectionError:
        return False


def _remove_stale_keys(connection: Connection) -> None:
    keys = tuple(_stale_keys)
    connection.send_command("UNLINK", *keys)
    connection.read_response()
    _stale_keys.difference_update(keys)
