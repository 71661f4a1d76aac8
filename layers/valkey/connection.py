"""The connection of each thread to Valkey, opened at first use, and the Lua scripts that run in Valkey.

Keys that can be read again have an expiry and may be evicted; the others have an end in `deadlines`, see
lua/deadlines.lua. Valkey must run without persistence: lost data are read again from PostgreSQL and Cassandra, but data
restored after a restart could be outdated.
"""

import functools
import hashlib
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hiredis import HiredisError, ReplyError

from layers.core import waiting
from layers.core.breaker import Breaker, BreakerState
from layers.core.errors import StoreUnavailable
from layers.core.settings import settings
from layers.valkey import wire
from layers.valkey.wire import Wire

type Value = wire.Value

_SCRIPTS = Path(__file__).parent / "lua"
_CONNECT_SECONDS = 0.3
_ANSWER_SECONDS = 0.5
_LEFT_ANSWER_SECONDS = 0.05
_UNREACHABLE_SECONDS = 1
_UNAVAILABLE_PREFIXES = ("BUSY", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "READONLY")
"""Error replies that mean that Valkey cannot serve requests at the moment."""

_breaker = Breaker("valkey", failure_ratio=0.1, volume=1, reset_seconds=1)
# One failure opens it, so an unavailable Valkey costs one attempt per second and not one per request.

_local = threading.local()
_missed_writes = threading.Event()
_stale_keys: set[bytes] = set()
_unreachable_until = 0.0
_stalled: Wire | None = None
"""The last connection with TLS on which an answer did not come in time, until one comes again."""


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
        return run(Call(self, values))[0]


class Call(NamedTuple):
    """One call of a script."""

    script: Script
    values: tuple[Value, ...]


def run(*calls: Call) -> list[Any]:
    """The replies of the calls, made in this order, in one round trip. Raises `StoreUnavailable("valkey")`.

    The request's time for stores counts these waits but does not shorten them, as another store has often used it up:
    then one late answer would open the circuit breaker, and what has changed in that other store would be missed here.
    """
    started = time.monotonic()
    with _breaker.guard():
        try:
            connection = _open()
            if _stale_keys:
                _remove_stale_keys(connection)
            return _run(connection, calls)
        except ReplyError as error:
            if not str(error).startswith(_UNAVAILABLE_PREFIXES):
                raise
            _missed_writes.set()
            raise StoreUnavailable("valkey") from error
        except (HiredisError, OSError) as error:
            if isinstance(error, TimeoutError) and (stalled := _take()):
                _set_stalled(stalled)
            close()
            _missed_writes.set()
            raise StoreUnavailable("valkey") from error
        except BaseException:
            close()  # a reply may have been read in part
            raise
        finally:
            waiting.spend(time.monotonic() - started)


def _run(connection: Wire, calls: Sequence[Call]) -> list[Any]:
    connection.send([("EVALSHA", script.digest, 0, *values) for script, values in calls])
    replies = [connection.read() for _ in calls]
    for number, (script, values) in enumerate(calls):
        if isinstance(replies[number], ReplyError) and str(replies[number]).startswith("NOSCRIPT"):
            connection.send([("EVAL", script.text, 0, *values)])
            replies[number] = connection.read()
    if _stalled is not None:
        _set_stalled(None)
    for reply in replies:
        if isinstance(reply, ReplyError):
            raise reply
    return replies


def leave(script: Script, *values: Value) -> None:
    """Leave a call with a Valkey that did not answer: if it hangs, it runs the call as soon as it goes on.

    Also while the circuit breaker is open. Nothing tells whether the call was received. With TLS it is not, if this
    process had no connection to the Valkey that hangs: a new one cannot be used before Valkey has answered.
    """
    _leave(("EVAL", script.text, 0, *values))


def mark_stale(keys: Iterable[bytes]) -> None:
    """Record that these keys missed a write: this process deletes them before its next call to Valkey.

    It also tries to delete them at once, as other processes may be reading from Valkey: it may answer again while the
    circuit breaker of this process is still open.
    """
    missed = tuple(keys)
    _stale_keys.update(missed)
    if missed:
        _leave(("UNLINK", *missed))


def _leave(command: tuple[Value, ...]) -> None:
    global _unreachable_until  # noqa: PLW0603
    if time.monotonic() >= _unreachable_until:
        try:
            wire.leave(
                settings().valkey_url, command, connect_seconds=_CONNECT_SECONDS, answer_seconds=_LEFT_ANSWER_SECONDS
            )
        except TimeoutError:  # not even the kernel of its machine answers, or Valkey hangs and TLS needs its answer
            _unreachable_until = time.monotonic() + _UNREACHABLE_SECONDS
        except OSError:
            return
        else:
            return
    if (connection := _stalled) is not None:
        try:
            connection.send([command])
        except OSError:
            _set_stalled(None)


def _set_stalled(connection: Wire | None) -> None:
    global _stalled
    previous, _stalled = _stalled, connection
    if previous is not None:
        previous.close()


def close() -> None:
    """Close this thread's connection; the next call opens another."""
    connection = _take()
    if connection is not None:
        connection.close()


def _take() -> Wire | None:
    connection: Wire | None = getattr(_local, "connection", None)
    _local.connection = None
    return connection


def is_circuit_open() -> bool:
    """Whether the circuit breaker is open, so that a call would fail at once."""
    return _breaker.state is BreakerState.OPEN


def has_missed_writes() -> bool:
    """Whether a call of this process has failed since the last `mark_current`."""
    return _missed_writes.is_set()


def mark_current() -> None:
    """Record that Valkey has all writes that it had missed."""
    _missed_writes.clear()


def _open() -> Wire:
    connection: Wire | None = getattr(_local, "connection", None)
    if connection is not None and connection.is_alive:
        return connection
    close()
    opened = Wire(settings().valkey_url, connect_seconds=_CONNECT_SECONDS, answer_seconds=_ANSWER_SECONDS)
    _local.connection = opened
    return opened


def _remove_stale_keys(connection: Wire) -> None:
    keys = tuple(_stale_keys)
    connection.send([("UNLINK", *keys)])
    connection.read()
    _stale_keys.difference_update(keys)
