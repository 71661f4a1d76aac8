"""A queue per test."""

from collections.abc import Iterator

import pytest

from layers.rabbitmq import connection
from tests.support.queues import new_queue


@pytest.fixture
def queue() -> Iterator[str]:
    with new_queue() as name:
        yield name
    connection.close()
