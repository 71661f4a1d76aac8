"""Fixtures of all tests with the real stores."""

from collections.abc import Iterator

import pytest

from layers.rabbitmq import connection
from tests.support.queues import new_queue


@pytest.fixture
def queue() -> Iterator[str]:
    """A queue of the test's own, where its retries and dead letters go."""
    with new_queue() as name:
        yield name
    connection.close()
