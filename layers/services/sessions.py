"""Ending sessions in PostgreSQL and Valkey: a revocation stays in PostgreSQL until Valkey has applied it (R-A3)."""

import contextlib

from layers.core.errors import StoreUnavailable
from layers.core.models import Revocation
from layers.postgres import sessions
from layers.postgres.connection import autocommit, transaction
from layers.valkey import admission


def end(session_id: str) -> None:
    """End one session. Raises `StoreUnavailable` without PostgreSQL.

    Without Valkey the session ends when Valkey is available again and has applied the revocation.
    """
    with transaction() as db:
        revocation = sessions.end(db, session_id=session_id)
    if revocation:
        apply_revocation(revocation)


def apply_revocation(revocation: Revocation) -> bool:
    """Apply a committed revocation in Valkey; False without Valkey, and then it is applied later."""
    is_applied = admission.apply_revocation(revocation)
    if is_applied:
        # A revocation that stays in PostgreSQL is applied again, which is harmless.
        with contextlib.suppress(StoreUnavailable), autocommit() as db:
            sessions.delete_revocation(db, revocation=revocation)
    return is_applied


def apply_all_revocations() -> int:
    """Apply all revocations that Valkey may have missed; returns their number. Raises `StoreUnavailable`."""
    with autocommit() as db:
        revocations = sessions.read_revocations(db)
    admission.apply_revocations(revocations)
    return len(revocations)
