"""Admission: the session of a request, and whether the request is within the rate limits.

Valkey counts requests and holds copies of sessions; PostgreSQL holds the sessions themselves.
"""

import contextlib
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import msgspec

from layers.core.errors import StoreUnavailable
from layers.core.limits import GENERAL, Limit
from layers.core.models import Revocation
from layers.postgres import sessions
from layers.postgres.connection import autocommit
from layers.postgres.sessions import FoundSession
from layers.valkey import admission
from layers.valkey.admission import Admission, LimitDecision

_MAX_KNOWN: Final = 10_000

_known: dict[str, UUID] = {}
"""The users of the sessions that this process has admitted. A session may have ended since."""


def admit(
    session_id: str | None, address: str, limit: Limit | None, *, prefetch: Callable[[UUID], Any] | None = None
) -> Admission:
    """Read the session and count the request: one round trip if Valkey has the session.

    `prefetch` gives the call that a function for this viewer will begin with. It is made in the same round trip if this
    process knows the session, and its reply is in the result only if the session still belongs to that viewer.
    Without Valkey, sessions are read from PostgreSQL and nothing is counted; a limit that must be counted (login)
    raises `StoreUnavailable`.
    """
    general = GENERAL.configured
    configured = limit.configured if limit else None
    try:
        if admission.needs_revocations():
            admission.apply_revocations(_read_revocations())
        expected = _known.get(session_id) if session_id and prefetch else None
        ahead = prefetch(expected) if prefetch and expected else None
        admitted = admission.admit(session_id, address, general, configured, ahead=ahead)
        if session_id and admitted.unknown_session:
            prefetched = admitted.prefetched
            admitted = _admit_from_postgres(session_id, address, general, configured)
            admitted = msgspec.structs.replace(admitted, prefetched=prefetched)
    except StoreUnavailable as error:
        if error.store != "valkey" or (limit and limit.closed_without_valkey):
            raise
        # Valkey is unavailable (R-L7).
        found = _find_session(session_id) if session_id else None
        return Admission(session=found.session if found else None, count=None)
    if session_id and admitted.session:
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
        _known[session_id] = admitted.session.user_id
        if admitted.prefetched and admitted.session.user_id != expected:
            admitted = msgspec.structs.replace(admitted, prefetched=None)
    if admitted.session and admitted.save_due:
        _extend(admitted.session.id)
    return admitted


def known_user(session_id: str) -> UUID | None:
    """The user of a session that this process has admitted, which may have ended since; None for any other one."""
    return _known.get(session_id)


def refund(count: LimitDecision, address: str) -> None:
    """Un-count a request that was counted by address."""
    admission.refund(count.limit, address, count.entry)


def _admit_from_postgres(session_id: str, address: str, general: Limit, limit: Limit | None) -> Admission:
    """Look the session up in PostgreSQL when Valkey does not have it."""
    if found := _find_session(session_id):
        admission.remember(found.session, seconds=found.seconds)
        admitted = admission.admit(session_id, address, general, limit)
        if not admitted.unknown_session:
            return admitted
        # The session was revoked between these calls, so PostgreSQL decides.
        found = _find_session(session_id)
    admitted = admission.admit(None, address, general, limit)
    return msgspec.structs.replace(admitted, session=found.session if found else None)


def _find_session(session_id: str) -> FoundSession | None:
    with autocommit() as db:
        found = sessions.find(db, session_id=session_id)
    if found and found.extension_due:
        _extend(session_id)
    return found


def _extend(session_id: str) -> None:
    """Extend a session in PostgreSQL. A failure does not matter: the next request tries again."""
    with contextlib.suppress(StoreUnavailable), autocommit() as db:
        sessions.extend(db, session_id=session_id)


def _read_revocations() -> list[Revocation]:
    with autocommit() as db:
        return sessions.read_revocations(db)
