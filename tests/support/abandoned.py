"""Files that no row names: the records of them, and time that passes for these."""

from collections.abc import Sequence

from layers.postgres.connection import transaction

OLDER = """
    UPDATE abandoned_files
       SET created_at = created_at - %(seconds)s * interval '1 s',
           kept_until = kept_until - %(seconds)s * interval '1 s'
     WHERE keys && %(keys)s
"""


def list_abandoned(part: str) -> list[str]:
    """The recorded keys that contain this text, the last one first."""
    with transaction() as db:
        rows = db.execute(
            "SELECT key FROM abandoned_files, unnest(keys) AS key WHERE strpos(key, %s) > 0 ORDER BY created_at DESC",
            [part],
        )
        return [row[0] for row in rows]


def let_pass(seconds: float, keys: Sequence[str]) -> None:
    """Let so much time pass since these keys were recorded."""
    with transaction() as db:
        db.execute(OLDER, {"seconds": seconds, "keys": list(keys)})
