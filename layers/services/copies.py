"""Copies of accounts and profiles, which answer reads while PostgreSQL is unavailable (docs/contract/outages.md)."""

import math
import time
from collections.abc import Callable
from typing import Final, Protocol
from uuid import UUID

import msgspec

from layers.core.errors import StoreUnavailable
from layers.postgres.connection import Connection, autocommit
from layers.valkey import copies

_SAVE_SECONDS: Final = 30
"""How long a copy that has not changed is not stored again: a tenth of the time that it lives."""

_MAX_SAVED: Final = 10_000

_saved: dict[str, tuple[int, float]] = {}
"""By the name of a copy: the hash of what this process stored last, and when."""


class CopiedAccount(Protocol):
    """Data about one account, which can be copied."""

    @property
    def id(self) -> UUID:
        """The id of the account."""


def read_or_copy[Data: CopiedAccount](name: str, kind: type[Data], read: Callable[[Connection], Data]) -> Data:
    """The result of `read`; while PostgreSQL is unavailable, its last result if that is at most 5 min old.

    `name` must contain the viewer, so that one viewer never gets what only another may see. Raises what `read` raises:
    a copy never replaces an answer of PostgreSQL such as `UserNotFound`. Raises `StoreUnavailable` without a copy.
    """
    try:
        with autocommit() as db:
            found = read(db)
    except StoreUnavailable as error:
        copy = copies.read(name) if error.store == "database" else None
        if copy is None:
            raise
        return msgspec.json.decode(copy, type=kind)
    _save(name, msgspec.json.encode(found), about=found.id)
    return found


def _save(name: str, copy: bytes, *, about: UUID) -> None:
    """Store a copy, unless this process stored the same one less than 30 s ago."""
    digest, now = hash(copy), time.monotonic()
    saved_digest, saved_at = _saved.get(name, (0, -math.inf))
    if saved_digest == digest and now - saved_at < _SAVE_SECONDS:
        return
    if not copies.save(name, copy, about=about):
        return
    if len(_saved) >= _MAX_SAVED:
        _saved.clear()
    _saved[name] = digest, now
