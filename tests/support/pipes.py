"""PostgreSQL and Valkey behind pipes that a test can close, for the thread that runs it."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from layers.core.errors import StoreUnavailable
from layers.core.ids import new_id
from layers.core.settings import settings
from layers.postgres import connection as postgres_connection
from layers.postgres.connection import transaction
from layers.valkey import connection as valkey_connection
from layers.valkey import timelines
from tests.support.broken_pipes import Pipe, pipe_to
from tests.support.waiting import until


class Pipes(msgspec.Struct):
    """Both stores behind pipes that a test can close."""

    database: Pipe
    valkey: Pipe


@contextmanager
def through_pipes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipes]:
    """This thread talks to the stores through pipes; at the end it reaches them directly again."""
    with pipe_to(settings().database_url) as database, pipe_to(settings().valkey_url) as cache:
        monkeypatch.setenv("DATABASE_URL", database.url)
        monkeypatch.setenv("VALKEY_URL", cache.url)
        _anew()
        yield Pipes(database, cache)
    monkeypatch.undo()
    _anew()
    until(stores_answer)


def _anew() -> None:
    settings.cache_clear()
    postgres_connection.close()
    valkey_connection.close()


def stores_answer() -> bool:
    """Breakers have closed again."""
    try:
        timelines.push([], new_id())
        with transaction() as db:
            db.execute("SELECT 1")
    except StoreUnavailable:
        return False
    return True
