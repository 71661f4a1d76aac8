"""A keyspace migrated as every stack's is."""

import pytest

from infra.migrate import migrate_cassandra


@pytest.fixture(scope="session", autouse=True)
def keyspace() -> None:
    migrate_cassandra()
