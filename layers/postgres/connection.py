"""The connection of each thread to PostgreSQL, opened at first use."""

import functools
import re
import select
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString, Self

import msgspec
import psycopg
from prometheus_client import Histogram
from psycopg.abc import PQGen, Query
from psycopg.adapt import Buffer, Loader
from psycopg.rows import TupleRow

from layers.core import metrics
from layers.core.breaker import Breaker
from layers.core.errors import NotAllowed, SignInRequired, StoreUnavailable
from layers.core.models import Viewer
from layers.core.pages import Row
from layers.core.settings import settings

type Connection = psycopg.Connection[TupleRow]

_OPTIONS = (
    "-c timezone=UTC -c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=30000"
)
_CONNECT_SECONDS = 2
_MILLISECONDS = 3
_POLL_SECONDS = 0.1
READ_SECONDS = 1.8
WORK_SECONDS = 10
"""How long to wait for the answer to a statement: single ones, and those of longer transactions (R-D2)."""

_breaker = Breaker("database", failure_ratio=0.5, volume=3, reset_seconds=1)
_local = threading.local()


class _TimeLoader(Loader):
    """Reads timestamptz in the format of the API: ISO 8601 in UTC with milliseconds and `Z`."""

    def load(self, data: Buffer) -> str:
        date, _, clock = bytes(data).decode().partition(" ")
        seconds, _, fraction = clock.removesuffix("+00").partition(".")
        return f"{date}T{seconds}.{fraction[:_MILLISECONDS].ljust(_MILLISECONDS, '0')}Z"


_WRITES = re.compile(r"\b(INSERT INTO|DELETE FROM|(?<!FOR )(?<!KEY )UPDATE)\b")
_OPERATIONS = {"INSERT INTO": "insert", "UPDATE": "update", "DELETE FROM": "delete"}


class _MeasuredCursor(psycopg.Cursor[Any]):
    """Measures the seconds of each statement, by its operation."""

    def execute(self, query: Query, *args: Any, **kwargs: Any) -> Self:
        started = time.perf_counter()
        try:
            return super().execute(query, *args, **kwargs)
        finally:
            _seconds_of(str(query)).observe(time.perf_counter() - started)


@functools.lru_cache(maxsize=256)
def _seconds_of(statement: str) -> Histogram:
    """The histogram for a statement; a statement that reads and writes counts as its first write."""
    write = _WRITES.search(statement)
    return metrics.DB_SECONDS.labels(_OPERATIONS[write[1]] if write else "select")


class _TimeoutConnection(psycopg.Connection[TupleRow]):
    """Gives up waiting for a server that does not answer, for example because the network is interrupted."""

    answer_seconds: float = READ_SECONDS

    def wait[Result](self, gen: PQGen[Result], interval: float = _POLL_SECONDS, timeout: float | None = None) -> Result:
        started = time.monotonic()
        try:
            return super().wait(gen, interval, timeout or self.answer_seconds)
        except psycopg.Error:
            if time.monotonic() - started < self.answer_seconds:
                raise
            self.pgconn.finish()  # a rollback on this connection would wait as long again
            raise psycopg.OperationalError("the server does not answer") from None


@contextmanager
def transaction(*, answer_seconds: float = WORK_SECONDS) -> Iterator[Connection]:
    """A transaction, which is committed at the end of the block and rolled back by any exception.

    Raises `StoreUnavailable` if the database cannot be reached, the connection is lost, or a statement takes longer
    than `answer_seconds`. A connection that was closed while idle is replaced before the first statement.
    """
    with autocommit(answer_seconds=answer_seconds) as connection, connection.transaction():
        yield connection


@contextmanager
def autocommit(*, answer_seconds: float = READ_SECONDS) -> Iterator[Connection]:
    """A connection on which each statement is its own transaction: one round trip instead of three.

    Raises as `transaction`, but after 1.8 s without an answer. A deadlock raises `StoreUnavailable` in one of the
    transactions, and is not a failure for the circuit breaker. Raises `SignInRequired` if the account that writes has
    just been removed.
    """
    try:
        with _breaker.guard("database"):
            try:
                connection = _open()
                connection.answer_seconds = answer_seconds
                yield connection
            except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
                raise
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                close()
                raise StoreUnavailable("database") from error
    except psycopg.errors.ForeignKeyViolation:
        raise SignInRequired from None  # all other referenced rows are locked, so the caller's account was removed
    except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure) as error:
        raise StoreUnavailable("database", retry_after=1) from error


def retry_on_deadlock[Result](work: Callable[[], Result], *, times: int = 3) -> Result:
    """The result of `work`, which must be a whole transaction; after a deadlock it is repeated, up to `times` runs."""
    for _ in range(times - 1):
        try:
            return work()
        except StoreUnavailable as error:
            if not isinstance(error.__cause__, (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)):
                raise
    return work()


def list_row[Kind: msgspec.Struct](
    kind: type[Kind], *, keys: int
) -> Callable[[psycopg.Cursor[Any]], Callable[[Sequence[Any]], Row[Kind]]]:
    """A row factory for lists: the first `keys` columns are the sort keys, the others are the Struct's fields."""

    def factory(cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], Row[Kind]]:
        names = [column.name for column in cursor.description or ()][keys:]

        def make(values: Sequence[Any]) -> Row[Kind]:
            return Row(keys=tuple(values[:keys]), item=kind(**dict(zip(names, values[keys:], strict=True))))

        return make

    return factory


def fetch_visible_list[Kind: msgspec.Struct](
    db: Connection, statement: LiteralString, values: Mapping[str, object], kind: type[Kind], *, keys: int
) -> list[Row[Kind]] | None:
    """A list that belongs to an object, which the viewer may not be allowed to see.

    The first column of the statement says whether the viewer may see the object; an empty list is one row in which the
    other columns are null. None if there is no such object; raises `NotAllowed` if the viewer may not see it.
    """
    with db.cursor() as cursor:
        rows = cursor.execute(statement, values).fetchall()
        if not rows:
            return None
        if not rows[0][0]:
            raise NotAllowed("This account is private.")
        names = [column.name for column in cursor.description or ()][keys + 1 :]
    return [
        Row(keys=tuple(row[1 : keys + 1]), item=kind(**dict(zip(names, row[keys + 1 :], strict=True))))
        for row in rows
        if row[1] is not None
    ]


def viewer_values(viewer: Viewer | None) -> dict[str, object]:
    """The parameters of statements that depend on the viewer: `viewer_id` and `is_admin`."""
    return {"viewer_id": viewer.id if viewer else None, "is_admin": viewer is not None and viewer.role == "admin"}


def _open() -> _TimeoutConnection:
    connection: _TimeoutConnection | None = getattr(_local, "connection", None)
    if connection is not None and not connection.closed and _is_alive(connection):
        return connection
    close()
    connection = _TimeoutConnection.connect(
        settings().database_url,
        autocommit=True,
        options=_OPTIONS,
        connect_timeout=_CONNECT_SECONDS,
        prepare_threshold=1,
        cursor_factory=_MeasuredCursor,
    )
    connection.adapters.register_loader("timestamptz", _TimeLoader)
    _local.connection = connection
    return connection


def _is_alive(connection: Connection) -> bool:
    """Whether an idle connection is still open: a server that has closed it has sent that on the socket."""
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
    connection: Connection | None = getattr(_local, "connection", None)
    _local.connection = None
    if connection is not None:
        connection.close()
