"""Transactions, lost connections, times."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from functions.auth import get_me
from functions.users import update_profile
from layers.core.errors import StoreUnavailable
from layers.core.settings import settings
from layers.postgres import connection
from layers.postgres.connection import Connection, autocommit, transaction, write
from tests.support.calls import call
from tests.support.people import Person, new_person
from tests.support.proxies import through_proxies
from tests.support.waiting import LATE_SECONDS, until


@pytest.fixture
def person() -> Person:
    return new_person()


def test_times_are_read_as_the_contract_writes_them() -> None:
    with transaction() as db:
        row = db.execute(
            "SELECT '2026-01-25 19:45:54.1+00'::timestamptz, '2026-01-25 19:45:54+00'::timestamptz,"
            "       '2026-01-25 20:45:54.123999+01'::timestamptz"
        ).fetchone()

    assert row == ("2026-01-25T19:45:54.100Z", "2026-01-25T19:45:54.000Z", "2026-01-25T19:45:54.123Z")


def test_an_exception_rolls_back() -> None:
    with pytest.raises(psycopg.errors.DivisionByZero), transaction() as db:
        db.execute("CREATE TABLE never_kept (); SELECT 1 / 0")

    with transaction() as db:
        assert db.execute("SELECT to_regclass('never_kept')").fetchone() == (None,)


def test_a_connection_that_died_while_idle_is_replaced() -> None:
    with transaction() as db:
        first = db.info.backend_pid
    _end(first)

    with transaction() as db:
        assert db.info.backend_pid != first


def test_a_connection_lost_in_the_middle_is_an_unavailable_store_and_the_next_one_works() -> None:
    with pytest.raises(StoreUnavailable), transaction() as db:
        db.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with transaction() as db:
        assert db.execute("SELECT 1").fetchone() == (1,)


LOCK_BOTH = "SELECT pg_advisory_xact_lock(%s), pg_advisory_xact_lock(%s)"


def test_a_statement_that_is_the_victim_of_a_deadlock_is_repeated() -> None:
    pids = []

    def lock(db: Connection) -> int:
        pids.append(db.info.backend_pid)
        db.execute(LOCK_BOTH, [701, 702])
        return len(pids)

    with psycopg.connect(settings().database_url) as other, ThreadPoolExecutor(1) as threads:
        other.execute("SET deadlock_timeout = '1 min'")  # so that the other one is the victim
        other.execute("SELECT pg_advisory_xact_lock(702)")
        written = threads.submit(write, lock)
        until(lambda: pids and _waits(pids[0]))
        other.execute("SELECT pg_advisory_xact_lock(701)")
        other.commit()

        assert written.result(timeout=10) == 2
        threads.submit(connection.close).result()


def _waits(pid: int) -> bool:
    """Whether this server process waits for a lock."""
    with psycopg.connect(settings().database_url, autocommit=True) as looking:
        found = looking.execute("SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()
    return found == ("Lock",)


def _end(pid: int) -> None:
    """Another session ends that one."""
    with psycopg.connect(settings().database_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 1000)", [pid])


@pytest.fixture
def freeze() -> Iterator[Callable[[Connection], None]]:
    """A function that stops the server process of a connection; it continues at the end."""
    frozen: list[int] = []

    def freeze(db: Connection) -> None:
        frozen.append(db.info.backend_pid)
        os.kill(db.info.backend_pid, signal.SIGSTOP)

    yield freeze
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.rule("R-D2")
def test_a_server_that_hangs_is_given_up_after_1_8_s(freeze: Callable[[Connection], None]) -> None:
    with autocommit() as db:
        freeze(db)
    started = time.monotonic()
    with pytest.raises(StoreUnavailable), autocommit() as db:
        db.execute("SELECT 1")

    assert time.monotonic() - started < 1.8 + LATE_SECONDS
    with autocommit() as db:
        assert db.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.rule("R-D2")
def test_a_server_that_hangs_during_a_transaction_is_given_up_after_10_s(freeze: Callable[[Connection], None]) -> None:
    def work() -> None:
        with transaction() as db:
            db.execute("SELECT 1")
            freeze(db)
            db.execute("SELECT 1")

    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        work()

    assert 9 < time.monotonic() - started < 10 + LATE_SECONDS


def test_a_write_to_a_read_only_server_is_an_unavailable_store_and_reads_go_on(person: Person) -> None:
    with autocommit() as db:
        db.execute("SET default_transaction_read_only = on")
    try:
        for _ in range(4):
            with pytest.raises(StoreUnavailable), autocommit() as db:
                db.execute("UPDATE users SET bio = 'x' WHERE id = %s", [person.id])
        with autocommit() as db:
            assert db.execute("SELECT 1").fetchone() == (1,)
    finally:
        connection.close()


def test_a_session_is_found_on_a_read_only_server_though_its_expiry_cannot_be_extended(person: Person) -> None:
    with autocommit() as db:
        db.execute("UPDATE sessions SET expires_at = now() + interval '1 h' WHERE user_id = %s", [person.id])
        db.execute("SET default_transaction_read_only = on")
    try:
        assert call(get_me, session_id=person.session_id).status == 200
    finally:
        connection.close()


@pytest.mark.rule("R-D2")
def test_the_statements_of_a_request_wait_2_s_together(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    with through_proxies(monkeypatch) as proxies:
        assert call(get_me, session_id=person.session_id).status == 200  # now there is a connection
        proxies.database.delay(800)
        started = time.monotonic()
        reply = call(update_profile, session_id=person.session_id, body={"bio": "x"})

    assert reply.status == 503
    assert time.monotonic() - started < 2 + LATE_SECONDS
