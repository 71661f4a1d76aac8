"""The Cassandra session of this process, opened at first use."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from layers.core import tls, waiting
from layers.core.breaker import Breaker, BreakerState
from layers.core.errors import StoreUnavailable
from layers.core.settings import settings

if TYPE_CHECKING:
    from cassandra.cluster import Session
    from cassandra.query import BatchStatement, PreparedStatement

_PROTOCOL = 5
"""Fixed, because negotiating the version costs a refused connection at each cold start."""
_CONNECT_SECONDS = 2
_ANSWER_SECONDS = 2
_RECONNECT_SECONDS = 1

type RowDict = dict[str, Any]
type Statement = tuple[str, Mapping[str, object]]
"""CQL with `:named` parameters, and their values. A missing value leaves its column unchanged, without a tombstone."""


class PartitionWrite(NamedTuple):
    """Writes with the same partition key, also of several tables: one write, which happens whole or not at all.

    It waits for the commit log once, a logged batch three times.
    """

    statements: Sequence[Statement]


_breaker = Breaker("cassandra", failure_ratio=0.5, volume=3, reset_seconds=2)
_lock = threading.Lock()


class _Session:
    """A session of the driver with its prepared statements."""

    def __init__(self, session: "Session") -> None:
        self.session = session
        self._prepared: dict[str, PreparedStatement] = {}

    def execute(self, requests: Sequence[Statement | PartitionWrite]) -> list[list[RowDict]]:
        """Run the requests in parallel; the rows of each, in order."""
        return self._run(
            [
                (self._batch(request.statements, is_logged=False), None)
                if isinstance(request, PartitionWrite)
                else (self._prepare(request[0]), request[1])
                for request in requests
            ]
        )

    def write_together(self, statements: Sequence[Statement]) -> None:
        """Run the statements as one logged batch."""
        self._run([(self._batch(statements, is_logged=True), None)])

    def _batch(self, statements: Sequence[Statement], *, is_logged: bool) -> "BatchStatement":
        from cassandra.query import BatchStatement, BatchType  # noqa: PLC0415

        batch = BatchStatement(BatchType.LOGGED if is_logged else BatchType.UNLOGGED)
        for text, values in statements:
            batch.add(self._prepare(text), values)
        return batch

    def is_connected(self) -> bool:
        """Whether a connection to one of the nodes is open."""
        return any(each.is_open() for pool in self.session.get_pools() for each in pool.get_connections())

    def _run(self, requests: Sequence[tuple[Any, Mapping[str, object] | None]]) -> list[list[RowDict]]:
        from layers.cassandra.driver import Answer  # noqa: PLC0415

        answers = [Answer(self.session.execute_async(request, values, timeout=None)) for request, values in requests]
        ends_at = time.monotonic() + waiting.limit(_ANSWER_SECONDS)
        with waiting.measured():
            return [answer.rows(ends_at=ends_at) for answer in answers]

    def _prepare(self, statement: str) -> "PreparedStatement":
        prepared = self._prepared.get(statement)
        if prepared is None:
            # The driver's timeout for it is 10 s, and its property cannot be set beside execution profiles.
            self.session._default_timeout = waiting.limit(_ANSWER_SECONDS)  # noqa: SLF001
            with waiting.measured():
                prepared = self._prepared[statement] = self.session.prepare(statement)
        return prepared

    def close(self) -> None:
        self.session.cluster.shutdown()


_current: _Session | None = None


def execute(statement: str, values: Mapping[str, object]) -> list[RowDict]:
    """Run one statement; returns its rows.

    Reads and writes use LOCAL_QUORUM, so a read sees all writes that were acknowledged before it; that needs a majority
    of the replicas in the data centre. Raises `StoreUnavailable` after at most 2 s per attempt. If the connections were
    closed while idle, they are opened again and the statement is tried once more.
    """
    return execute_all((statement, values))[0]


def execute_all(*requests: Statement | PartitionWrite) -> list[list[RowDict]]:
    """Run several statements in parallel; the rows of each, in order. Raises as `execute`."""
    return _run(lambda session: session.execute(requests)) if requests else []


def write_together(statements: Sequence[Statement]) -> None:
    """Run several writes as a logged batch: if one of them is applied, all will be. Raises as `execute`.

    Not isolated: a reader may see some of the writes before the others.
    """
    _run(lambda session: session.write_together(statements))


PING: Final = "SELECT key FROM system.local"


def check() -> None:
    """Raises `StoreUnavailable` while Cassandra is down (docs/contract/outages.md).

    For answers that come from Valkey. It asks Cassandra only if none of this process's connections is open or the
    circuit breaker is not closed.
    """
    if _breaker.state is BreakerState.CLOSED and _current is not None and _current.is_connected():
        return
    execute(PING, {})


def _run[Result](operation: Callable[[_Session], Result]) -> Result:
    from cassandra import DriverException, InvalidRequest  # noqa: PLC0415 (the driver loads at first use)
    from cassandra.cluster import NoHostAvailable  # noqa: PLC0415

    waiting.check("cassandra")
    with _breaker.guard():
        try:
            session, is_new = _open()
            try:
                return operation(session)
            except NoHostAvailable:
                if is_new:
                    raise
                _drop(session)
                return operation(_open()[0])
        except InvalidRequest:
            raise  # a defect of a statement: Cassandra has answered
        except (NoHostAvailable, DriverException, OSError) as error:
            raise StoreUnavailable("cassandra") from error


def close() -> None:
    """Close the session; the next use opens another."""
    if _current is not None:
        _drop(_current)


def connect(keyspace: str | None) -> "Session":
    """A new session, which the caller closes with `session.cluster.shutdown()`. Raises the driver's errors."""
    from cassandra import ConsistencyLevel  # noqa: PLC0415
    from cassandra.auth import PlainTextAuthProvider  # noqa: PLC0415
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile  # noqa: PLC0415
    from cassandra.policies import ConstantReconnectionPolicy, DCAwareRoundRobinPolicy  # noqa: PLC0415
    from cassandra.query import dict_factory  # noqa: PLC0415
    from layers.cassandra.driver import Connection  # noqa: PLC0415

    logging.getLogger("cassandra").setLevel(logging.ERROR)  # it logs a warning for each error that it also raises
    profile = ExecutionProfile(
        load_balancing_policy=DCAwareRoundRobinPolicy(),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
        request_timeout=_ANSWER_SECONDS,
        row_factory=dict_factory,
    )
    user = settings().cassandra_username
    seconds = waiting.limit(_CONNECT_SECONDS)
    cluster = Cluster(
        contact_points=settings().cassandra_hosts.split(","),
        port=settings().cassandra_port,
        protocol_version=_PROTOCOL,
        connect_timeout=seconds,
        control_connection_timeout=seconds,
        connection_class=Connection,
        auth_provider=PlainTextAuthProvider(user, settings().cassandra_password) if user else None,
        **tls_options(settings().cassandra_tls_name, ca_file=settings().stores_ca_file),
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        reconnection_policy=ConstantReconnectionPolicy(_RECONNECT_SECONDS, max_attempts=None),
        schema_metadata_enabled=False,  # reading the whole schema makes the start of the driver slow
        token_metadata_enabled=False,
        monitor_reporting_enabled=False,
        executor_threads=1,
    )
    try:
        session = cluster.connect(keyspace)
    except BaseException:
        cluster.shutdown()
        raise
    cluster.connect_timeout = _CONNECT_SECONDS  # later connections belong to no request
    cluster.control_connection._timeout = _CONNECT_SECONDS  # noqa: SLF001
    return session


def tls_options(name: str, *, ca_file: str) -> dict[str, Any]:
    """The options of the driver for nodes whose certificates are for `name`; none if it is empty.

    The driver knows the other nodes by their IP addresses only, which certificates rarely name.
    """
    return {"ssl_context": tls.context(ca_file), "ssl_options": {"server_hostname": name}} if name else {}


def _open() -> tuple[_Session, bool]:
    """The session, and whether this call has opened it."""
    global _current  # noqa: PLW0603 (one session per process, as the driver's documentation recommends)
    with _lock:
        if _current is not None:
            return _current, False
        with waiting.measured():
            _current = _Session(connect(settings().cassandra_keyspace))
        return _current, True


def _drop(session: _Session) -> None:
    global _current  # noqa: PLW0603
    with _lock:
        if _current is session:
            _current = None
    session.close()
