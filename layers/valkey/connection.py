"""The environment's one connection to Valkey, opened at first use, and the Lua scripts that run there.

Valkey holds copies only, and must run without persistence: what it lost is filled again from the rows, but what it
would bring back after a restart may be old.
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

from layers.core.breaker import Breaker, State
from layers.core.errors import StoreUnavailable
from layers.core.settings import settings

type Value = bytes | str | int
type Connection = Any
"""A connection of redis-py, which is partly untyped; without its client, which costs as much as a round trip."""

_SCRIPTS = Path(__file__).parent / "lua"
_CONNECT_SECONDS = 0.3
_ANSWER_SECONDS = 0.5
_REFUSALS = ("BUSY", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS")
_REFUSED = (OutOfMemoryError, ReadOnlyError)
"""Error replies that say: not now."""

_breaker = Breaker("valkey", failure_ratio=0.1, volume=1, reset_seconds=1)
# One failure opens it: a dead Valkey costs one attempt per second, and not one per request.

_held = threading.local()
_away = threading.Event()
_distrusted: set[bytes] = set()


class Script:
    """A Lua script made of files under `lua/`, one after the other; sent whole once, then called by its digest."""

    def __init__(self, *parts: str) -> None:
        self._parts = parts

    @functools.cached_property
    def text(self) -> bytes:
        """The whole script."""
        return b"\n".join((_SCRIPTS / f"{part}.lua").read_bytes() for part in self._parts)

    @functools.cached_property
    def digest(self) -> str:
        """Its name in Valkey."""
        return hashlib.sha1(self.text, usedforsecurity=False).hexdigest()

    def __call__(self, *values: Value) -> Any:
        """Run it with these as ARGV: one round trip. Raises `StoreUnavailable("valkey")` while Valkey is away."""
        with _breaker.guard():
            try:
                connection = _open()
                if _distrusted:
                    _forget(connection)
                return self._run(connection, values)
            except ResponseError as error:
                if not isinstance(error, _REFUSED) and not str(error).startswith(_REFUSALS):
                    raise
                _away.set()
                raise StoreUnavailable("valkey") from error
            except (redis.RedisError, OSError) as error:
                close()
                _away.set()
                raise StoreUnavailable("valkey") from error
            except BaseException:
                close()  # an answer may be half read
                raise

    def _run(self, connection: Connection, values: tuple[Value, ...]) -> Any:
        connection.send_command("EVALSHA", self.digest, 0, *values)
        try:
            return connection.read_response()
        except NoScriptError:
            connection.send_command("EVAL", self.text, 0, *values)
            return connection.read_response()


def distrust(keys: Iterable[bytes]) -> None:
    """These keys missed a write: they are removed before anything else is asked of Valkey."""
    _distrusted.update(keys)


def close() -> None:
    """Close the connection; the next call opens another."""
    connection: Connection | None = getattr(_held, "connection", None)
    _held.connection = None
    if connection is not None:
        connection.disconnect()


def is_resting() -> bool:
    """Whether the breaker is open: a call would fail at once."""
    return _breaker.state is State.OPEN


def was_away() -> bool:
    """Whether a call has failed since the last `back`."""
    return _away.is_set()


def back() -> None:
    """Valkey was told what it missed."""
    _away.clear()


def _open() -> Connection:
    connection: Connection | None = getattr(_held, "connection", None)
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
    _held.connection = opened
    return opened


def _is_alive(connection: Connection) -> bool:
    """Whether Valkey has not closed the idle connection: it has no other reason to speak first."""
    try:
        return not connection.can_read(timeout=0)
    except redis.ConnectionError:
        return False


def _forget(connection: Connection) -> None:
    keys = tuple(_distrusted)
    connection.send_command("UNLINK", *keys)
    connection.read_response()
    _distrusted.difference_update(keys)
