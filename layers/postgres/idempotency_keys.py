"""Idempotency keys (R-K1 to R-K4), each with the id of what its request creates, and the first answer."""

from typing import Final
from uuid import UUID

import msgspec

from layers.core.errors import IdempotencyKeyInUse, IdempotencyKeyReused
from layers.core.ids import new_id
from layers.postgres.connection import Connection

_BUSY_SECONDS: Final = 35
"""Longer than a request can take (30 s, R-D2): after this time the first request has ended without an answer."""
_LIFETIME_SECONDS: Final = 24 * 60 * 60


class KeyedRequest(msgspec.Struct, frozen=True):
    """A request with an idempotency key."""

    user_id: UUID
    route: str
    """The method and path of the request."""
    key: str
    body_hash: bytes
    """SHA-256."""


class StoredAnswer(msgspec.Struct, frozen=True):
    """The answer to the first request with a key."""

    status: int
    body: str
    """JSON whose media links are not signed yet."""


class KeyReservation(msgspec.Struct, frozen=True):
    """The state of a key when a request begins."""

    new_id: UUID
    """The id of what the request creates. It is the same each time, so that an interrupted request can be completed."""
    answer: StoredAnswer | None
    """The first answer; None if this request has to be processed."""


RESERVE: Final = """
    WITH reserved AS (
        INSERT INTO idempotency_keys AS old (user_id, route, key, body_hash, new_id, busy_until)
        VALUES (%(user_id)s, %(route)s, %(key)s, %(body_hash)s, %(new_id)s, now() + %(busy)s * interval '1 s')
        ON CONFLICT (user_id, route, key) DO UPDATE
           SET body_hash = excluded.body_hash, busy_until = excluded.busy_until, status = NULL, answer = NULL,
               new_id = CASE WHEN old.created_at < now() - %(seconds)s * interval '1 s'
                             THEN excluded.new_id ELSE old.new_id END,
               created_at = CASE WHEN old.created_at < now() - %(seconds)s * interval '1 s'
                                 THEN now() ELSE old.created_at END
         WHERE old.created_at < now() - %(seconds)s * interval '1 s'
            OR (old.status IS NULL AND old.busy_until < now() AND old.body_hash = excluded.body_hash)
        RETURNING new_id
    )
    SELECT new_id, true AS is_ours, true AS is_same, NULL AS status, NULL AS answer FROM reserved
     UNION ALL
    SELECT new_id, false, body_hash = %(body_hash)s, status, answer FROM idempotency_keys
     WHERE user_id = %(user_id)s AND route = %(route)s AND key = %(key)s AND NOT EXISTS (SELECT FROM reserved)
"""


def reserve(db: Connection, *, request: KeyedRequest) -> KeyReservation:
    """Reserve the key for a request, or read the first answer.

    Raises `IdempotencyKeyInUse` while the first request is being processed, `IdempotencyKeyReused` for another body
    with the same key.
    """
    values = {**_key_columns(request), "body_hash": request.body_hash, "new_id": new_id()}
    row = db.execute(RESERVE, values | {"busy": _BUSY_SECONDS, "seconds": _LIFETIME_SECONDS}).fetchone()
    if row is None:  # another request with this key began at the same moment
        raise IdempotencyKeyInUse
    reserved, is_ours, is_same, status, answer = row
    if not is_same:
        raise IdempotencyKeyReused
    if not is_ours and status is None:
        raise IdempotencyKeyInUse
    return KeyReservation(new_id=reserved, answer=None if is_ours else StoredAnswer(status=status, body=answer))


SAVE_ANSWER: Final = """
    UPDATE idempotency_keys SET status = %(status)s, answer = %(answer)s
     WHERE user_id = %(user_id)s AND route = %(route)s AND key = %(key)s
"""


def save_answer(db: Connection, *, request: KeyedRequest, answer: StoredAnswer) -> None:
    """Store the answer, for 24 h after the key was reserved."""
    db.execute(SAVE_ANSWER, {**_key_columns(request), "status": answer.status, "answer": answer.body})


DELETE: Final = "DELETE FROM idempotency_keys WHERE user_id = %(user_id)s AND route = %(route)s AND key = %(key)s"

RELEASE: Final = """
    UPDATE idempotency_keys SET busy_until = now()
     WHERE user_id = %(user_id)s AND route = %(route)s AND key = %(key)s
"""


def release(db: Connection, *, request: KeyedRequest, may_have_created: bool) -> None:
    """Free the key of a request that failed; the id stays reserved if something may have been created (R-K4)."""
    db.execute(RELEASE if may_have_created else DELETE, _key_columns(request))


DELETE_OLD: Final = "DELETE FROM idempotency_keys WHERE created_at < now() - %(seconds)s * interval '1 s'"


def delete_old(db: Connection) -> int:
    """Delete keys older than 24 h; returns their number."""
    return db.execute(DELETE_OLD, {"seconds": _LIFETIME_SECONDS}).rowcount


def _key_columns(request: KeyedRequest) -> dict[str, object]:
    return {"user_id": request.user_id, "route": request.route, "key": request.key}
