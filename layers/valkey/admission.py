"""Copies of sessions (R-A5) and rate limits (R-L1 to R-L5), in one round trip for each request.

`session:{session_id}` is a hash with times in seconds. `sessions:{user_id}` is a sorted set of the ids of a user's
sessions by expiry. `ratelimit:{user or address}:{action}` is a list of the times, in microseconds, of the requests
accepted within the window: the algorithm "sliding window log". Every key has an end, and none is evicted
(docs/decisions/0045-no-eviction-of-sessions.md).
"""

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

import msgspec

from layers.core.errors import StoreUnavailable
from layers.core.limits import SESSION_SECONDS, Limit
from layers.core.models import Revocation, Session
from layers.core.prefetched import Prefetched
from layers.core.settings import settings
from layers.valkey import connection, copies, timelines
from layers.valkey.connection import Call, Script, Value

_SAVE_SECONDS: Final = 15 * 60
_REVOKED_SECONDS: Final = 60
_DAY: Final = 24 * 60 * 60


class LimitDecision(msgspec.Struct, frozen=True):
    """The decision of a rate limit on one request."""

    limit: Limit
    accepted: bool
    remaining: int
    reset_seconds: int
    """Whole seconds until at least one more request is allowed."""
    entry: bytes = b""
    """The entry of the request in the list, with which it can be un-counted."""


class Admission(msgspec.Struct, frozen=True):
    """The result of the round trip: the session, and the decision of a rate limit."""

    session: Session | None
    count: LimitDecision | None
    """Of the limit that refuses the request, else of the most specific one; None if nothing could be counted."""
    unknown_session: bool = False
    """Whether Valkey does not have the session; then nothing was counted."""
    save_due: bool = False
    """Whether the session's new expiry should be written to PostgreSQL (at most every 15 min)."""
    prefetched: Prefetched | None = None


ADMIT: Final = Script("deadlines", "admit")


def admit(
    session_id: str | None, address: str, general: Limit, limit: Limit | None, *, ahead: Call | None = None
) -> Admission:
    """Extend the session (24 h, at most to its absolute end) and count the request. Raises `StoreUnavailable`.

    `ahead` is a call to make in the same round trip, whatever the decision is.
    `general` counts by user, or by address without a session, also the requests that `limit` then refuses. `limit`
    counts by user, or by address if it is declared so. With an unknown session id nothing is counted.
    """
    specific: tuple[Value, ...] = ("", 0, 0, "")
    if limit is not None:
        specific = (limit.action, limit.requests, limit.seconds, "1" if limit.by_address else "")
    seconds = (SESSION_SECONDS, _SAVE_SECONDS)
    counted_general = (general.action, general.requests, general.seconds)
    call = Call(ADMIT, (session_id or "", address, *seconds, *counted_general, *specific))
    reply, *replies = connection.run(call, ahead) if ahead else connection.run(call)
    prefetched = Prefetched(ahead, replies[0]) if ahead else None
    if not reply[0]:
        return Admission(session=None, count=None, unknown_session=True, prefetched=prefetched)
    _, user_id, username, role, save_due, which, accepted, remaining, reset, entry = reply
    session = None
    if session_id and user_id:
        session = Session(id=session_id, user_id=UUID(user_id.decode()), username=username.decode(), role=role.decode())
    counted = limit if which != 1 and limit is not None else general
    count = LimitDecision(limit=counted, accepted=accepted == 1, remaining=remaining, reset_seconds=reset, entry=entry)
    return Admission(session=session, count=count, save_due=save_due == 1, prefetched=prefetched)


REMEMBER: Final = Script("deadlines", "remember")


def remember(session: Session, *, seconds: int) -> None:
    """Store a copy of a session whose absolute end is in `seconds`. Raises `StoreUnavailable`.

    Does nothing for a session that was revoked within the last minute.
    """
    REMEMBER(
        session.id,
        str(session.user_id),
        session.username,
        session.role,
        seconds,
        SESSION_SECONDS,
        _SAVE_SECONDS,
        settings().session_absolute_days * _DAY,
    )


REFUND: Final = Script("refund")


def refund(limit: Limit, key: str, entry: bytes) -> None:
    """Un-count one request; without Valkey it stays counted until its window ends."""
    try:
        REFUND(f"ratelimit:{key}:{limit.action}", entry)
    except StoreUnavailable:
        return


FORGET_COUNTS: Final = Script("deadlines", "forget_counts")


def forget_counts(user_id: UUID, actions: Iterable[str]) -> None:
    """Un-count all requests of a user under these limits. Raises `StoreUnavailable`."""
    FORGET_COUNTS(*(f"ratelimit:{user_id}:{action}" for action in actions))


APPLY_REVOCATIONS: Final = Script("deadlines", "revoke")


def apply_revocations(revocations: Sequence[Revocation]) -> None:
    """Apply all revocations that PostgreSQL has; afterwards `needs_revocations` is false. Raises `StoreUnavailable`.

    It ends the sessions, and hides or shows the accounts. For a single revocation there is `apply_revocation`.
    """
    if revocations:
        _apply(revocations)
    connection.mark_current()


def apply_revocation(revocation: Revocation) -> bool:
    """Apply one revocation; False without Valkey, and then it must stay in PostgreSQL.

    If Valkey hangs, the revocation is sent all the same, and Valkey applies it before it answers later requests.
    """
    try:
        _apply([revocation])
    except StoreUnavailable:
        connection.leave(APPLY_REVOCATIONS, *_revocation_values([revocation]))
        return False
    return True


def needs_revocations() -> bool:
    """Whether Valkey was unavailable since the last `apply_revocations`, and is likely available again."""
    return connection.has_missed_writes() and not connection.is_circuit_open()


def _revocation_values(revocations: Sequence[Revocation]) -> list[Value]:
    values: list[Value] = [_REVOKED_SECONDS]
    for revocation in revocations:
        if revocation.session_id is not None:
            values += ("s", revocation.session_id)
        else:
            values += ("u", str(revocation.user_id))
    return values


def _apply(revocations: Sequence[Revocation]) -> None:
    APPLY_REVOCATIONS(*_revocation_values(revocations))
    for revocation in revocations:
        if revocation.user_id is not None:
            timelines.set_banned(revocation.user_id, is_banned=revocation.is_banned)
            copies.set_hidden(revocation.user_id, is_hidden=revocation.is_banned)
