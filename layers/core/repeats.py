"""Requests with an `Idempotency-Key`: sent again within 24 h they get the first answer again, and create nothing twice.

Core imports no store; the one that remembers the keys is named here as a port and loaded at first use.
"""

import functools
import importlib
from typing import Final, Protocol, cast
from uuid import UUID

import msgspec

from layers.core.errors import Invalid

HEADER: Final = "idempotency-key"
LENGTH: Final = 128


class Repeat(msgspec.Struct, frozen=True):
    """One request that may come again."""

    user_id: UUID
    route: str
    """Method and path as called."""
    key: str
    body_hash: bytes


class Answered(msgspec.Struct, frozen=True):
    """The first answer."""

    status: int
    body: str
    """JSON; links in it are not signed yet."""


class Begun(msgspec.Struct, frozen=True):
    """How far a request has come before."""

    new_id: UUID
    """Of what it creates: the same each time, so that one cut off in the middle goes on where it was."""
    answered: Answered | None


class Repeats(Protocol):
    """`layers.postgres.repeats`."""

    def begin(self, repeat: Repeat) -> Begun:
        """Take the request up; raises `StillInWork`, `KeyUsedAgain` or `StoreUnavailable`."""

    def answered(self, repeat: Repeat, answer: Answered) -> None:
        """Keep its answer."""

    def refused(self, repeat: Repeat, *, may_have_begun: bool) -> None:
        """It was refused. The key is free again, for the same id where something may have been created."""


@functools.cache
def repeats() -> Repeats:
    """The keys in PostgreSQL."""
    return cast("Repeats", importlib.import_module("layers.postgres.repeats"))


def key_of(headers: dict[str, str]) -> str | None:
    """The request's key, if it has one; raises `Invalid` for one that is too long or not visible ASCII."""
    key = headers.get(HEADER)
    if key is not None and not (0 < len(key) <= LENGTH and key.isascii() and key.isprintable() and " " not in key):
        raise Invalid.field("Idempotency-Key", f"1 to {LENGTH} visible ASCII characters")
    return key
