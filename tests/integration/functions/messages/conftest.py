"""Conversations between people."""

from uuid import UUID

import pytest

from infra.migrate import migrate_cassandra
from tests.support.messages import open_pair
from tests.support.people import Person


@pytest.fixture(scope="session", autouse=True)
def keyspace() -> None:
    migrate_cassandra()


@pytest.fixture
def talk(ada: Person, grace: Person) -> UUID:
    """The conversation of ada and grace."""
    return open_pair(ada, grace)
