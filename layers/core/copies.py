"""Copies for bad days: what was read a moment ago answers again while PostgreSQL is away.

Core imports no store; the one that keeps the copies is named here as a port and loaded at first use.
"""

import functools
import importlib
from collections.abc import Callable
from typing import Protocol, cast
from uuid import UUID

import msgspec

from layers.core.errors import StoreUnavailable


class Copies(Protocol):
    """`layers.valkey.copies`."""

    def keep(self, name: str, copy: bytes, *, about: UUID) -> None:
        """Keep a copy of what is about an account for 5 min; without Valkey there is none."""

    def kept(self, name: str) -> bytes | None:
        """A copy not older than 5 min, unless its account was banned or removed since. Raises `StoreUnavailable`."""


class Account(Protocol):
    """What copies are made of."""

    @property
    def id(self) -> UUID:
        """Whose it is."""


@functools.cache
def _copies() -> Copies:
    """The copies in Valkey."""
    return cast("Copies", importlib.import_module("layers.valkey.copies"))


def read_or_kept[Thing: Account](name: str, kind: type[Thing], read: Callable[[], Thing]) -> Thing:
    """What `read` gives; while the database is away, what it gave last, if that was within 5 min.

    The name says for whom the copy is: what one viewer may see is never shown to another. Raises what `read` raises;
    an answer of the database, that there is no such thing for instance, is never overruled by a copy.
    """
    try:
        found = read()
    except StoreUnavailable as error:
        copy = _copies().kept(name) if error.store == "database" else None
        if copy is None:
            raise
        return msgspec.json.decode(copy, type=kind)
    _copies().keep(name, msgspec.json.encode(found), about=found.id)
    return found
