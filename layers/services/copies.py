"""Copies of accounts and profiles, which answer reads while PostgreSQL is unavailable (docs/contract/outages.md)."""

from collections.abc import Callable
from typing import Protocol
from uuid import UUID

import msgspec

from layers.core.errors import StoreUnavailable
from layers.postgres.connection import Connection, autocommit
from layers.valkey import copies


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
    copies.save(name, msgspec.json.encode(found), about=found.id)
    return found
