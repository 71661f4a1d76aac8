"""What stands before every handler: who calls, and whether it is within the limits.

Core imports no store. The two stores that this needs are named here as ports and loaded at first use: the gate
counts requests and remembers sessions, the register of sessions is the truth that outlives it.
"""

import functools
import importlib
from collections.abc import Sequence
from typing import Protocol, cast
from uuid import UUID

import msgspec

from layers.core.errors import StoreUnavailable
from layers.core.limits import GENERAL, Limit
from layers.core.models import Session


class Count(msgspec.Struct, frozen=True):
    """What a limiter says of one request."""

    limit: Limit
    accepted: bool
    remaining: int
    reset_seconds: int
    """Whole seconds until at least one more request is allowed."""
    place: bytes = b""
    """Names the place taken, so that it can be given back."""


class Admitted(msgspec.Struct, frozen=True):
    """One round trip's answer: the live session, if any, and what the limiters say."""

    session: Session | None
    count: Count | None
    """The refusing limiter, else the most specific; None while nothing can be counted."""
    unknown_session: bool = False
    """Valkey does not know this session id, and nothing was counted yet."""
    save_due: bool = False
    """Whether the session's new expiry is worth a write to the register (at most every 15 min)."""


class Revocation(msgspec.Struct, frozen=True):
    """Sessions that must not live on: one by id, or all of a user."""

    id: UUID
    session_id: str | None = None
    user_id: UUID | None = None
    is_banned: bool = False
    """The user is banned or gone: no feed and no copy shows the account either. Otherwise they may again."""


class Gate(Protocol):
    """`layers.valkey.admission`."""

    def admit(self, session_id: str | None, address: str, general: Limit, limit: Limit | None) -> Admitted:
        """Slide the session, count the request. Raises `StoreUnavailable`."""

    def remember(self, session: Session, *, seconds: int) -> None:
        """Keep a session that the register knows."""

    def give_back(self, limit: Limit, key: str, place: bytes) -> None:
        """Un-count one request."""

    def revoke(self, revocations: Sequence[Revocation]) -> None:
        """Forget all that the register has revoked; from then on the gate is trusted. Raises `StoreUnavailable`."""

    def revoked(self, *revocations: Revocation) -> bool:
        """Forget these sessions now; False while Valkey is away."""

    def was_away(self) -> bool:
        """Whether Valkey could not be reached since the last `revoke` succeeded."""


class Register(Protocol):
    """`layers.postgres.sessions`."""

    def find(self, session_id: str) -> tuple[Session, int] | None:
        """The live session and the seconds it has left, its expiry moved on. Raises `StoreUnavailable`."""

    def save(self, session_id: str) -> None:
        """Move the expiry on."""

    def revocations(self) -> list[Revocation]:
        """Revocations that may not have reached Valkey yet."""


@functools.cache
def gate() -> Gate:
    """The gate in Valkey."""
    return cast("Gate", importlib.import_module("layers.valkey.admission"))


@functools.cache
def register() -> Register:
    """The register in PostgreSQL."""
    return cast("Register", importlib.import_module("layers.postgres.sessions"))


def admit(session_id: str | None, address: str, limit: Limit | None) -> Admitted:
    """Who calls and what the limiters say: one round trip when Valkey knows the session.

    With Valkey away, sessions come from the register and nothing is counted; a limit that must not be
    passed uncounted raises `StoreUnavailable`.
    """
    general = GENERAL.configured
    configured = limit.configured if limit else None
    try:
        if gate().was_away():
            gate().revoke(register().revocations())
        admitted = gate().admit(session_id, address, general, configured)
        if session_id and admitted.unknown_session:
            admitted = _introduced(session_id, address, general, configured)
    except StoreUnavailable as error:
        if limit and limit.closed_without_valkey:
            raise
        if error.store != "valkey":
            raise
        found = register().find(session_id) if session_id else None
        return Admitted(session=found[0] if found else None, count=None)
    if admitted.session and admitted.save_due:
        _save(admitted.session.id)
    return admitted


def _introduced(session_id: str, address: str, general: Limit, limit: Limit | None) -> Admitted:
    """The register's word on a session that the gate does not know."""
    if found := register().find(session_id):
        session, seconds = found
        gate().remember(session, seconds=seconds)
        admitted = gate().admit(session_id, address, general, limit)
        if not admitted.unknown_session:
            return admitted
        # The gate has just been told to forget it: what the register says from now on is what holds.
        found = register().find(session_id)
    admitted = gate().admit(None, address, general, limit)
    return msgspec.structs.replace(admitted, session=found[0] if found else None)


def revoke(revocation: Revocation) -> bool:
    """End sessions in Valkey too; False when it is away, and the register keeps the revocation for its return."""
    return gate().revoked(revocation)


def _save(session_id: str) -> None:
    try:
        register().save(session_id)
    except StoreUnavailable:
        return  # Valkey holds the session; the next request tries again
