"""The environment's one connection to PostgreSQL, opened at first use."""

import select
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg
from psycopg.abc import PQGen
from psycopg.adapt import Buffer, Loader
from psycopg.rows import TupleRow

from layers.core.breaker import Breaker
from layers.core.errors import StoreUnavailable
from layers.core.settings import settings

type Connection = psycopg.Connection[TupleRow]

_OPTIONS = (
    "-c timezone=UTC -c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=30000"
)
_CONNECT_SECONDS = 2
_MILLISECONDS = 3
_READ_SECONDS = 1.8
_WORK_SECONDS = 10
_LOOK_SECONDS = 0.1

_breaker = Breaker("database", failure_ratio=0.5, volume=3, reset_seconds=1)
_held = threading.local()


class _TimeLoader(Loader):
    """timestamptz as the contract writes times: ISO 8601, UTC, milliseconds, `Z`."""

    def load(self, data: Buffer) -> str:
        date, _, clock = bytes(data).decode().partition(" ")
        seconds, _, fraction = clock.removesuffix("+00").partition(".")
        return f"{date}T{seconds}.{fraction[:_MILLISECONDS].ljust(_MILLISECONDS, '0')}Z"


class _Impatient(psycopg.Connection[TupleRow]):
    """Gives up on a server that takes a statement and does not answer: its machine hangs, or the network is gone."""

    answer_seconds: float = _READ_SECONDS

    def wait[Result](self, gen: PQGen[Result], interval: float = _LOOK_SECONDS, timeout: float | None = None) -> Result:
        started = time.monotonic()
        try:
            return super().wait(gen, interval, timeout or self.answer_seconds)
        except psycopg.Error:
            if time.monotonic() - started < self.answer_seconds:
                raise
            self.pgconn.finish()  # nothing more is said on it: a rollback would wait as long again
            raise psycopg.OperationalError("the server does not answer") from None


@contextmanager
def transaction() -> Iterator[Connection]:
    """One transaction: committed at the end, rolled back by any exception.

    A database that cannot be reached, is lost in the middle or takes more than 10 s for a statement raises
    `StoreUnavailable`. A connection that died while idle is replaced once, before anything was sent on it.
    """
    with autocommit(answer_seconds=_WORK_SECONDS) as connection, connection.transaction():
        yield connection


@contextmanager
def autocommit(*, answer_seconds: float = _READ_SECONDS) -> Iterator[Connection]:
    """Each statement a transaction of its own: for work of one statement, one round trip instead of three.

    Raises as `transaction` does, but after 1.8 s without an answer.
    """
    with _breaker.guard():
        try:
            connection = _open()
            connection.answer_seconds = answer_seconds
            yield connection
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            if isinstance(error, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure):
                raise
            close()
            raise StoreUnavailable("database") from error


def rows_as[Kind: msgspec.Struct](kind: type[Kind]) -> Callable[[psycopg.Cursor[Any]], Callable[[Sequence[Any]], Kind]]:
    """A row factory: columns carry the Struct's field names."""

    def factory(cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], Kind]:
        names = [column.name for column in cursor.description or ()]

        def make(values: Sequence[Any]) -> Kind:
            return kind(**dict(zip(names, values, strict=True)))

        return make

    return factory


def _open() -> _Impatient:
    connection: _Impatient | None = getattr(_held, "connection", None)
    if connection is not None and not connection.closed and _is_alive(connection):
        return connection
    close()
    connection = _Impatient.connect(
        settings().database_url,
        autocommit=True,
        options=_OPTIONS,
        connect_timeout=_CONNECT_SECONDS,
        prepare_threshold=1,
    )
    connection.adapters.register_loader("timestamptz", _TimeLoader)
    _held.connection = connection
    return connection


def _is_alive(connection: Connection) -> bool:
    """Whether an idle connection still has its server: one that left has said so, or closed, on the socket."""
    socket = select.poll()
    socket.register(connection.pgconn.socket, select.POLLIN)
    try:
        while socket.poll(0):
            connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return False
    return True


def close() -> None:
    """Close this thread's connection; the next transaction opens another."""
    connection: Connection | None = getattr(_held, "connection", None)
    _held.connection = None
    if connection is not None:
        connection.close()
