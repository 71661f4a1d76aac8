"""The environment's session with Cassandra, opened at first use."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from layers.core.breaker import Breaker
from layers.core.errors import StoreUnavailable
from layers.core.settings import settings

if TYPE_CHECKING:
    from cassandra.cluster import Session
    from cassandra.query import PreparedStatement

_PROTOCOL = 5
"""Pinned: negotiating costs a refused connection at every cold start."""
_CONNECT_SECONDS = 2
_ANSWER_SECONDS = 2
_BACK_AFTER_SECONDS = 1

type Row = dict[str, Any]
type Statement = tuple[str, Mapping[str, object]]
"""CQL with `:named` values, and the values; one that is not given is left as it is, and never written as null."""

_breaker = Breaker("cassandra", failure_ratio=0.5, volume=3, reset_seconds=2)
_lock = threading.Lock()


class _Link:
    """A session with the statements prepared on it."""

    def __init__(self, session: "Session") -> None:
        self.session = session
        self._prepared: dict[str, PreparedStatement] = {}

    def execute(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """All at once; the rows of each, in order."""
        futures = [self.session.execute_async(self._prepare(text), values) for text, values in statements]
        return [list(future.result()) for future in futures]

    def write_together(self, statements: Sequence[Statement]) -> None:
        from cassandra.query import BatchStatement, BatchType  # noqa: PLC0415

        batch = BatchStatement(BatchType.LOGGED)
        for text, values in statements:
            batch.add(self._prepare(text), values)
        self.session.execute(batch)

    def _prepare(self, statement: str) -> "PreparedStatement":
        prepared = self._prepared.get(statement)
        if prepared is None:
            prepared = self._prepared[statement] = self.session.prepare(statement)
        return prepared

    def close(self) -> None:
        self.session.cluster.shutdown()


_held: _Link | None = None


def execute(statement: str, values: Mapping[str, object]) -> list[Row]:
    """Run one statement; its rows. Reads and writes are of LOCAL_QUORUM.

    So a read sees every write acknowledged before it, whichever replica takes it, as long as a majority of the
    data centre is up; other data centres may be away. Raises `StoreUnavailable` after 2 s at most per attempt;
    connections that died while idle are replaced once.
    """
    return execute_all((statement, values))[0]


def execute_all(*statements: Statement) -> list[list[Row]]:
    """Run several at once, as long as the slowest of them takes; the rows of each, in order. Raises as `execute`."""
    return _asked(lambda link: link.execute(statements)) if statements else []


def write_together(statements: Sequence[Statement]) -> None:
    """Write all of them or, where Cassandra is away, none: once one is seen, the others will be. Raises as `execute`.

    A logged batch: the coordinator keeps it elsewhere until every part of it is written.
    """
    _asked(lambda link: link.write_together(statements))


def _asked[Answer](ask: Callable[[_Link], Answer]) -> Answer:
    from cassandra import DriverException, InvalidRequest  # noqa: PLC0415 (the driver loads at first use)
    from cassandra.cluster import NoHostAvailable  # noqa: PLC0415

    with _breaker.guard():
        try:
            link, is_fresh = _open()
            try:
                return ask(link)
            except NoHostAvailable:
                if is_fresh:
                    raise
                _drop(link)
                return ask(_open()[0])
        except InvalidRequest:
            raise  # ours to repair: the service answered
        except (NoHostAvailable, DriverException, OSError) as error:
            raise StoreUnavailable("cassandra") from error


def close() -> None:
    """Close the session; the next use opens another."""
    if _held is not None:
        _drop(_held)


def connect(keyspace: str | None) -> "Session":
    """A new session of the caller's own; it closes with `session.cluster.shutdown()`. Raises the driver's errors."""
    from cassandra import ConsistencyLevel  # noqa: PLC0415
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile  # noqa: PLC0415
    from cassandra.policies import ConstantReconnectionPolicy, DCAwareRoundRobinPolicy  # noqa: PLC0415
    from cassandra.query import dict_factory  # noqa: PLC0415

    logging.getLogger("cassandra").setLevel(logging.ERROR)  # it warns of every host that it then raises about
    profile = ExecutionProfile(
        load_balancing_policy=DCAwareRoundRobinPolicy(),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
        request_timeout=_ANSWER_SECONDS,
        row_factory=dict_factory,
    )
    cluster = Cluster(
        contact_points=settings().cassandra_hosts.split(","),
        port=settings().cassandra_port,
        protocol_version=_PROTOCOL,
        connect_timeout=_CONNECT_SECONDS,
        control_connection_timeout=_CONNECT_SECONDS,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        reconnection_policy=ConstantReconnectionPolicy(_BACK_AFTER_SECONDS, max_attempts=None),
        schema_metadata_enabled=False,  # reading the whole schema is what makes the driver's start slow
        token_metadata_enabled=False,
        monitor_reporting_enabled=False,
        executor_threads=1,
    )
    try:
        return cluster.connect(keyspace)
    except BaseException:
        cluster.shutdown()
        raise


def _open() -> tuple[_Link, bool]:
    """The session, and whether it was opened just now."""
    global _held  # noqa: PLW0603 (one session per process, as the driver wants it)
    with _lock:
        if _held is not None:
            return _held, False
        _held = _Link(connect(settings().cassandra_keyspace))
        return _held, True


def _drop(link: _Link) -> None:
    global _held  # noqa: PLW0603
    with _lock:
        if _held is link:
            _held = None
    link.close()
