"""Idempotency keys and the answers they stand for: the port that core names `Repeats`."""

import contextlib
from typing import Final, LiteralString

from layers.core.errors import KeyUsedAgain, StillInWork, StoreUnavailable
from layers.core.ids import new_id
from layers.core.repeats import Answered, Begun, Repeat
from layers.postgres.connection import Connection, autocommit

_BUSY_SECONDS: Final = 35
"""Longer than a request can take: after that whoever was at work is gone."""
_KEPT_SECONDS: Final = 24 * 60 * 60

BEGIN: Final = """
    WITH begun AS (
        INSERT INTO idempotency_keys AS kept (user_id, route, key, body_hash, new_id, busy_until)
        VALUES (%(user_id)s, %(route)s, %(key)s, %(body_hash)s, %(new_id)s, now() + %(busy)s * interval '1 s')
        ON CONFLICT (user_id, route, key) DO UPDATE
           SET body_hash = excluded.body_hash, busy_until = excluded.busy_until, status = NULL, answer = NULL,
               new_id = CASE WHEN kept.created_at < now() - %(seconds)s * interval '1 s'
                             THEN excluded.new_id ELSE kept.new_id END,
               created_at = CASE WHEN kept.created_at < now() - %(seconds)s * interval '1 s'
                                 THEN now() ELSE kept.created_at END
         WHERE kept.created_at < now() - %(seconds)s * interval '1 s'
            OR (kept.status IS NULL AND kept.busy_until < now() AND kept.body_hash = excluded.body_hash)
        RETURNING new_id
    )
    SELECT new_id, true AS is_ours, true AS is_same, NULL AS status, NULL AS answer FROM begun
     UNION ALL
    SELECT new_id, false, body_hash = %(body_hash)s, status, answer FROM idempotency_keys
     WHERE user_id = %(user_id)s AND route = %(route)s AND key = %(key)s AND NOT EXISTS (SELECT FROM begun)
"""


def begin(repeat: Repeat) -> Begun:
    """Take a request up, or give its first answer.

    Raises `StillInWork` while the first is at it, `KeyUsedAgain` for another body under the same key.
    """
    values = {**_place(repeat), "body_hash": repeat.body_hash, "new_id": new_id()}
    with autocommit() as db:
        row = db.execute(BEGIN, values | {"busy": _BUSY_SECONDS, "seconds": _KEPT_SECONDS}).fetchone()
    if row is None:  # the first came at the same moment
        raise StillInWork
    reserved, is_ours, is_same, status, answer = row
    if not is_same:
        raise KeyUsedAgain
    if not is_ours and status is None:
        raise StillInWork
    return Begun(new_id=reserved, answered=None if is_ours else Answered(status=status, body=answer))


ANSWERED: Final = """
    UPDATE idempotency_keys SET status = %(status)s, answer = %(answer)s
     WHERE user_id = %(user_id)s AND route = %(route)s AND key = %(key)s
"""


def answered(repeat: Repeat, answer: Answered) -> None:
    """Keep the answer. If it cannot be kept, the request sent again finds what it created by its id."""
    _told(ANSWERED, {**_place(repeat), "status": answer.status, "answer": answer.body})


FORGET: Final = "DELETE FROM idempotency_keys WHERE user_id = %(user_id)s AND route = %(route)s AND key = %(key)s"

RELEASE: Final = """
    UPDATE idempotency_keys SET busy_until = now()
     WHERE user_id = %(user_id)s AND route = %(route)s AND key = %(key)s
"""


def refused(repeat: Repeat, *, may_have_begun: bool) -> None:
    """The key is free again, at once; the id stays where something may have been created."""
    _told(RELEASE if may_have_begun else FORGET, _place(repeat))


CLEAR: Final = "DELETE FROM idempotency_keys WHERE created_at < now() - %(seconds)s * interval '1 s'"


def clear(db: Connection) -> int:
    """Remove keys older than 24 h; their number."""
    return db.execute(CLEAR, {"seconds": _KEPT_SECONDS}).rowcount


def _place(repeat: Repeat) -> dict[str, object]:
    return {"user_id": repeat.user_id, "route": repeat.route, "key": repeat.key}


def _told(statement: LiteralString, values: dict[str, object]) -> None:
    with contextlib.suppress(StoreUnavailable), autocommit() as db:
        db.execute(statement, values)
