"""Sessions and rate limits, both in one round trip: the port that core names `Gate`.

`session:{session_id}` is a hash with times in seconds, `sessions:{user_id}` the ids of a user's sessions by expiry,
`ratelimit:{user or address}:{action}` the times, in microseconds, of the requests accepted within the window. Every
key expires.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from layers.core.admission import Admitted, Count, Revocation
from layers.core.errors import StoreUnavailable
from layers.core.limits import SESSION_SECONDS, Limit
from layers.core.models import Session
from layers.core.settings import settings
from layers.valkey import connection, copies, timelines
from layers.valkey.connection import Script, Value

_SAVE_SECONDS: Final = 15 * 60
_REVOKED_SECONDS: Final = 60
_DAY: Final = 24 * 60 * 60

ADMIT: Final = Script("admit")


def admit(session_id: str | None, address: str, general: Limit, limit: Limit | None) -> Admitted:
    """Slide the session (24 h, never beyond its absolute end) and count the request.

    `general` counts by user, else by address, every request that it accepts, also one that `limit` then refuses.
    `limit` counts what a user asks, or an address where it says so. An unknown session id counts nothing.
    """
    specific: tuple[Value, ...] = ("", 0, 0, "")
    if limit is not None:
        specific = (limit.action, limit.requests, limit.seconds, "1" if limit.by_address else "")
    lives = (SESSION_SECONDS, _SAVE_SECONDS)
    reply = ADMIT(session_id or "", address, *lives, general.action, general.requests, general.seconds, *specific)
    if not reply[0]:
        return Admitted(session=None, count=None, unknown_session=True)
    _, user_id, username, role, save_due, which, accepted, remaining, reset, place = reply
    session = None
    if session_id and user_id:
        session = Session(id=session_id, user_id=UUID(user_id.decode()), username=username.decode(), role=role.decode())
    counted = limit if which != 1 and limit is not None else general
    count = Count(limit=counted, accepted=accepted == 1, remaining=remaining, reset_seconds=reset, place=place)
    return Admitted(session=session, count=count, save_due=save_due == 1)


REMEMBER: Final = Script("remember")


def remember(session: Session, *, seconds: int) -> None:
    """Keep a session that the register knows; `seconds` remain until its absolute end.

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


GIVE_BACK: Final = Script("give_back")


def give_back(limit: Limit, key: str, place: bytes) -> None:
    """Un-count one request; with Valkey away it stays counted until its window ends."""
    try:
        GIVE_BACK(f"ratelimit:{key}:{limit.action}", place)
    except StoreUnavailable:
        return


REVOKE: Final = Script("revoke")


def revoke(revocations: Sequence[Revocation]) -> None:
    """Forget all sessions that the register has revoked, and hide or show their accounts as it says.

    From then on Valkey is trusted again.

    Give the register's whole list: for a single one there is `revoked`.
    """
    if revocations:
        _revoke(revocations)
    connection.back()


def revoked(*revocations: Revocation) -> bool:
    """As `revoke`, for these, now; False when Valkey is away, and the register's list must keep them."""
    try:
        _revoke(revocations)
    except StoreUnavailable:
        return False
    return True


def was_away() -> bool:
    """Whether Valkey failed us since the last `revoke`, and it is time to ask it again."""
    return connection.was_away() and not connection.is_resting()


def _revoke(revocations: Sequence[Revocation]) -> None:
    named = (
        ("s", given.session_id) if given.session_id is not None else ("u", str(given.user_id)) for given in revocations
    )
    REVOKE(_REVOKED_SECONDS, *(value for pair in named for value in pair))
    for given in revocations:
        if given.user_id is not None:
            timelines.banned(given.user_id, is_banned=given.is_banned)
            copies.hidden(given.user_id, is_hidden=given.is_banned)
