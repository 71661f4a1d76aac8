"""Applies the migrations that are missing: PostgreSQL's with yoyo, Cassandra's from its numbered files.

python -m infra.migrate
"""

import re
from pathlib import Path
from typing import Final

from yoyo import get_backend, read_migrations

from layers.cassandra.connection import connect
from layers.core.settings import settings

MIGRATIONS = Path(__file__).parent / "postgres" / "migrations"
CASSANDRA_MIGRATIONS = Path(__file__).parent / "cassandra" / "migrations"

_SCHEMA_SECONDS = 30
_COMMENT = re.compile(r"--.*")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")

CREATE_KEYSPACE: Final = """
    CREATE KEYSPACE IF NOT EXISTS {keyspace}
      WITH replication = {{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}}
"""

CREATE_APPLIED: Final = "CREATE TABLE IF NOT EXISTS applied_migrations (name text PRIMARY KEY, applied_at timestamp)"
READ_APPLIED: Final = "SELECT name FROM applied_migrations"
ADD_APPLIED: Final = "INSERT INTO applied_migrations (name, applied_at) VALUES (%s, toTimestamp(now()))"


def migrate_postgres() -> int:
    """Apply PostgreSQL's missing migrations; the number of those applied."""
    backend = get_backend(settings().database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    migrations = read_migrations(str(MIGRATIONS))
    with backend.lock():
        missing = backend.to_apply(migrations)
        backend.apply_migrations(missing)
    return len(missing)


def migrate_cassandra() -> int:
    """Create Cassandra's keyspace if needed and apply the missing migrations; the number of those applied.

    Cassandra has no transactions for schema changes. A migration that was interrupted is applied again from its start,
    so each statement must be idempotent (IF NOT EXISTS).
    """
    keyspace = settings().cassandra_keyspace
    if not _NAME.fullmatch(keyspace):
        raise ValueError(f"CASSANDRA_KEYSPACE is not a valid keyspace name: {keyspace!r}")
    session = connect(None)
    try:
        session.execute(CREATE_KEYSPACE.format(keyspace=keyspace), timeout=_SCHEMA_SECONDS)
        session.set_keyspace(keyspace)
        session.execute(CREATE_APPLIED, timeout=_SCHEMA_SECONDS)
        applied = {row["name"] for row in session.execute(READ_APPLIED)}
        missing = [path for path in sorted(CASSANDRA_MIGRATIONS.glob("*.cql")) if path.stem not in applied]
        for path in missing:
            for statement in _statements(path.read_text()):
                session.execute(statement, timeout=_SCHEMA_SECONDS)
            session.execute(ADD_APPLIED, (path.stem,))
        return len(missing)
    finally:
        session.cluster.shutdown()


def _statements(text: str) -> list[str]:
    return [statement for part in _COMMENT.sub("", text).split(";") if (statement := part.strip())]


def main() -> None:
    """Migrate both stores and print the number of migrations applied."""
    print(f"PostgreSQL: {migrate_postgres()} migrations applied")
    print(f"Cassandra: {migrate_cassandra()} migrations applied")


if __name__ == "__main__":
    main()
