"""Valkey through a pipe that a test can cut."""

from collections.abc import Iterator

import pytest

from layers.core.errors import StoreUnavailable
from layers.core.ids import new_id
from layers.core.settings import settings
from layers.valkey import admission, connection, timelines
from tests.support.broken_pipes import Pipe, pipe_to
from tests.support.waiting import until


def answers() -> bool:
    """Whether Valkey is asked again, and answers."""
    try:
        timelines.push([], new_id())
    except StoreUnavailable:
        return False
    return True


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    """This thread talks to Valkey through it."""
    with pipe_to(settings().valkey_url) as pipe:
        monkeypatch.setenv("VALKEY_URL", pipe.url)
        settings.cache_clear()
        connection.close()
        yield pipe
    monkeypatch.undo()
    settings.cache_clear()
    connection.close()
    until(answers)
    admission.revoke([])
