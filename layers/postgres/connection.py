"""The connection of each thread to PostgreSQL, opened at first use."""

import select
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, LiteralString

import msgspec

from layers.core import waiting
from layers.core.breaker import Breaker
from layers.core.errors import NotAllowed, SignInRequired, StoreUnavailable
from layers.core.models import Viewer
from layers.core.pages import Row
from layers.core.settings import settings

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

    from layers.postgres.driver import TimeoutConnection

type Connection = psycopg.Connection[TupleRow]

READ_SECONDS = 1.8
WORK_SECONDS = 10
"""How long to wait for the answer to a statement: single ones, and those of longer transactions.

In a request, all waits together are bounded by `layers.core.waiting`.
"""

_breaker = Breaker("database", failure_ratio=0.5, volume=3, reset_seconds=1)
_local = threading.local()


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
    transactions, and so does a write while PostgreSQL is read-only; neither is a failure for the circuit breaker.
    Raises `SignInRequired` if the account that writes has just been removed.
    """
    import psycopg  # noqa: PLC0415 (takes a tenth of a second, and what Valkey answers alone needs none)

    waiting.check("database")
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
    except psycopg.errors.ReadOnlySqlTransaction as error:  # as after a failover: no failure, since reads are answered
        raise StoreUnavailable("database") from error


def retry_on_deadlock[Result](work: Callable[[], Result], *, times: int = 3) -> Result:
    """The result of `work`, which must be a whole transaction; after a deadlock it is repeated, up to `times` runs."""
    import psycopg  # noqa: PLC0415

    for _ in range(times - 1):
        try:
            return work()
        except StoreUnavailable as error:
            if not isinstance(error.__cause__, (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)):
                raise
    return work()


def write[Result](statement: Callable[[Connection], Result]) -> Result:
    """The result of a single statement, which is a transaction of its own; after a deadlock it is repeated.

    Even two equal statements can be in a deadlock, if one of them waits for a version of a row that the other replaces.
    Raises as `autocommit`.
    """

    def run() -> Result:
        with autocommit() as db:
            return statement(db)

    return retry_on_deadlock(run)


def list_row[Kind: msgspec.Struct](
    kind: type[Kind], *, keys: int
) -> Callable[["psycopg.Cursor[Any]"], Callable[[Sequence[Any]], Row[Kind]]]:
    """A row factory for lists: the first `keys` columns are the sort keys, the others are the Struct's fields."""

    def factory(cursor: "psycopg.Cursor[Any]") -> Callable[[Sequence[Any]], Row[Kind]]:
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


def _open() -> "TimeoutConnection":
    from layers.postgres.driver import connect  # noqa: PLC0415

    connection: TimeoutConnection | None = getattr(_local, "connection", None)
    if connection is not None and not connection.closed and _is_alive(connection):
        return connection
    close()
    connection = connect(settings().database_url, answer_seconds=READ_SECONDS)
    _local.connection = connection
    return connection


def _is_alive(connection: Connection) -> bool:
    """Whether an idle connection is still open: a server that has closed it has sent that on the socket."""
    import psycopg  # noqa: PLC0415

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
