"""The rows about an account or a thing, in a form that can be compared."""

import functools
import re
from collections.abc import Iterable
from uuid import UUID

import msgspec
from psycopg import sql

from layers.postgres.connection import transaction

ID_COLUMNS = """
    SELECT table_name, array_agg(column_name::text)
      FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
     WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND udt_name = 'uuid'
     GROUP BY table_name
"""
ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
OF_THE_MOMENT = (
    (ID, "an id"),
    (re.compile(r"(actor|other|author|victim)_[0-9a-f]{10}", re.IGNORECASE), "a name"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*(Z|\+\d\d(:\d\d)?)?"), "a time"),
    (re.compile(r"\d{4}/\d\d/\d\d"), "a day"),
    (re.compile(r"\$argon2id\$[^\"]*|x[0-9a-f]{64}"), "a hash"),
    (re.compile(r"\"[\w-]{43}\""), '"a secret"'),
    (re.compile(r"https?://[^\"]*"), "a link"),
)
"""What differs each time."""


@functools.cache
def _queries() -> list[sql.Composed]:
    """One per table: its rows that hold one of the ids."""
    with transaction() as db:
        found = db.execute(ID_COLUMNS).fetchall()
    query = sql.SQL("SELECT to_jsonb(t)::text FROM {} t WHERE {} && %s::uuid[]")
    return [
        query.format(
            sql.Identifier(table), sql.SQL("ARRAY[{}]").format(sql.SQL(", ").join(map(sql.Identifier, columns)))
        )
        for table, columns in sorted(found)
    ]


def about(*ids: UUID) -> list[str]:
    """All rows that name one of these, and those that name such rows, as JSON; in no order."""
    known, rows = set(ids), set[str]()
    for _ in range(2):
        with transaction() as db:
            rows = {row[0] for query in _queries() for row in db.execute(query, [list(known)])}
        known |= {UUID(msgspec.json.decode(row)["id"]) for row in rows if ID.fullmatch(_id(row))}
    return sorted(rows)


def _id(row: str) -> str:
    return str(msgspec.json.decode(row).get("id", ""))


def comparable(texts: Iterable[str]) -> list[str]:
    """The texts without what differs each time."""
    return sorted(
        functools.reduce(lambda text, each: each[0].sub(each[1], text), OF_THE_MOMENT, text) for text in texts
    )
