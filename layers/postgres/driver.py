"""psycopg's classes as this repository needs them; loaded with psycopg, when the first connection is opened."""

import functools
import re
import time
from typing import Any, Final, Self

import psycopg
from psycopg import conninfo
from psycopg.abc import PQGen, PQGenConn, Query
from psycopg.adapt import Buffer, Loader
from psycopg.rows import TupleRow

from layers.core import metrics, waiting
from layers.core.metrics import Histogram
from layers.core.settings import settings

_OPTIONS: Final = (
    "-c timezone=UTC -c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=30000"
    " -c random_page_cost=1.1"
)
"""The last one tells PostgreSQL that pages in memory or on an SSD cost about the same in any order. With its default it
plans to read all of a table that is small when the plan is made, and keeps that plan while the table grows."""

_CONNECT_SECONDS: Final = 2
_MILLISECONDS: Final = 3
_POLL_SECONDS: Final = 0.1
_WRITES: Final = re.compile(r"\b(INSERT INTO|DELETE FROM|(?<!FOR )(?<!KEY )UPDATE)\b")
_OPERATIONS: Final = {"INSERT INTO": "insert", "UPDATE": "update", "DELETE FROM": "delete"}


class _TimeLoader(Loader):
    """Reads timestamptz in the format of the API: ISO 8601 in UTC with milliseconds and `Z`."""

    def load(self, data: Buffer) -> str:
        date, _, clock = bytes(data).decode().partition(" ")
        seconds, _, fraction = clock.removesuffix("+00").partition(".")
        return f"{date}T{seconds}.{fraction[:_MILLISECONDS].ljust(_MILLISECONDS, '0')}Z"


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


class TimeoutConnection(psycopg.Connection[TupleRow]):
    """Gives up waiting for a server that does not answer, for example because the network is interrupted."""

    answer_seconds: float

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn[Self]:
        """As psycopg's, but raises `OperationalError` when the request's time ends: `connect_timeout` is 2 s at least.

        psycopg asks ten times a second whether it has to go on waiting.
        """
        ends_at = time.monotonic() + waiting.limit(_CONNECT_SECONDS)
        connecting = super()._connect_gen(conninfo)
        with waiting.measured():
            try:
                wanted = next(connecting)
                while True:
                    ready = yield wanted
                    if not ready and time.monotonic() >= ends_at:
                        raise psycopg.errors.ConnectionTimeout("the server does not answer")
                    wanted = connecting.send(ready)
            except StopIteration as ended:
                connection: Self = ended.value
                return connection

    def wait[Result](self, gen: PQGen[Result], interval: float = _POLL_SECONDS, timeout: float | None = None) -> Result:
        """As psycopg's, but raises `OperationalError` after `answer_seconds` or when the request's time ends."""
        started, most = time.monotonic(), waiting.limit(timeout or self.answer_seconds)
        try:
            return super().wait(gen, interval, most)
        except psycopg.Error:
            if time.monotonic() - started < most:
                raise
            self.pgconn.finish()  # a rollback on this connection would wait as long again
            raise psycopg.OperationalError("the server does not answer") from None
        finally:
            waiting.spend(time.monotonic() - started)


def connect(url: str, *, answer_seconds: float) -> TimeoutConnection:
    """A new connection; raises `psycopg.OperationalError`. `sslmode=verify-full` in the URL asks for TLS."""
    connection = TimeoutConnection.connect(
        _with_authorities(url),
        autocommit=True,
        options=_OPTIONS,
        connect_timeout=_CONNECT_SECONDS,
        prepare_threshold=1,
        cursor_factory=_MeasuredCursor,
    )
    connection.answer_seconds = answer_seconds
    connection.adapters.register_loader("timestamptz", _TimeLoader)
    return connection


def _with_authorities(url: str) -> str:
    """The URL with the authorities of the settings, unless it names some itself."""
    ca_file = settings().stores_ca_file
    if not ca_file or conninfo.conninfo_to_dict(url).get("sslrootcert"):
        return url
    return conninfo.make_conninfo(url, sslrootcert=ca_file)
