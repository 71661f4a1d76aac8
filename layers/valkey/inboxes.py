"""The inbox of each user: the order of its conversations, and what the list shows of each (lua/inbox.lua).

`inbox:{user}` is a sorted set by the milliseconds of the last activity, complete for an hour after it was read from
Cassandra. `entries:{user}` is a hash of entries, as JSON without names and pictures, which are those of
`layers.valkey.persons`. Both are exact, as `changes` says. A message is added in place: it moves the conversation up,
replaces the last message and counts as unread.
"""

import contextlib
import struct
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from layers.core.errors import StoreUnavailable
from layers.valkey import connection
from layers.valkey.connection import Call, Script, Value

_SECONDS: Final = 60 * 60
_VERSION_SECONDS: Final = 60
_NO_KEY: Final = bytes(16)
_ENTRY: Final = struct.Struct(">16sBBHHH")

type Keys = tuple[int, UUID]
"""The keys by which the list is sorted: the milliseconds of the last activity, and the conversation's id."""


class PreparedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What the list shows of a conversation; members of a JSON object, without the braces."""

    head: bytes
    """What precedes the last message, but for the name and the picture of the other user."""
    last_message: bytes
    """The members that say what the last message is, with a comma before each."""
    tail: bytes
    """What follows the number of unread messages, up to the `[` of the list of members, with a comma before it."""
    person_ids: tuple[UUID, ...]
    """The other user or, in a group, its members."""
    is_group: bool
    last_key: bytes
    """The key of the last message; empty if there is none."""
    unread: int
    """At most one more than is shown."""
    seconds: int
    """How long the last message exists."""


class Page(msgspec.Struct, frozen=True):
    """A page of the list."""

    entries: bytes
    """The JSON of the conversations, joined by commas."""
    last: Keys | None
    """The keys of the last conversation if there are others; None on the last page."""


class Listed(msgspec.Struct, frozen=True):
    """A conversation of a page of which something may be missing."""

    keys: Keys
    entry: bytes | None
    """Its JSON; empty if it is not shown, None if it is missing."""


class Known(msgspec.Struct, frozen=True):
    """What is known of a page of which something is missing; nothing without Valkey."""

    version: bytes = b""
    """To be presented when storing what is missing; empty if nothing must be stored."""
    bans: int = 0
    listed: tuple[Listed, ...] | None = None
    """The page; None if the order is not known."""
    has_more: bool = False


READ: Final = Script("order", "conversation", "inbox", "inbox_read")


def read_call(user_id: UUID, *, after: Keys | None, size: int) -> Call:
    """The call of `read`, to be made together with others; `parse` reads its reply."""
    milliseconds, conversation_id = after or (0, None)
    after_id = conversation_id.bytes if conversation_id else b""
    return Call(READ, (user_id.bytes, milliseconds, after_id, size, _VERSION_SECONDS))


def parse(reply: Sequence[Any]) -> Page | Known:
    """The reply to a call of `read_call`."""
    match reply:
        case [2, milliseconds, last, entries]:
            return Page(entries, (int(milliseconds), UUID(bytes=last)) if last else None)
        case [1, version, bans, has_more, *listed]:
            triples = zip(listed[::3], listed[1::3], listed[2::3], strict=True)
            page = tuple(Listed((int(score), UUID(bytes=id_)), entry) for id_, score, entry in triples)
            return Known(version, bans, page, has_more=has_more == 1)
        case [_, version, bans]:
            return Known(version, bans)
        case _:
            raise ValueError(reply)


def read(user_id: UUID, *, after: Keys | None, size: int) -> Page | Known:
    """The conversations that sort after `after`, latest activity first; one round trip."""
    try:
        return parse(connection.run(read_call(user_id, after=after, size=size))[0])
    except StoreUnavailable:
        return Known()


STORE_ORDER: Final = Script("conversation", "inbox", "inbox_store_order")


def store_order(user_id: UUID, known: Known, times: Mapping[UUID, datetime]) -> None:
    """Store the whole order as it was read after `known`; does nothing if it has changed since."""
    if known.version:
        values = [value for id_, moment in times.items() for value in (milliseconds(moment), id_.bytes)]
        with contextlib.suppress(StoreUnavailable):
            STORE_ORDER(user_id.bytes, known.version, _SECONDS, *values)


STORE_ENTRIES: Final = Script("conversation", "inbox", "inbox_store_entries")


def store_entries(user_id: UUID, known: Known, entries: Mapping[UUID, PreparedEntry | None]) -> None:
    """Store entries as they were read after `known`; None is a conversation that is not shown.

    Does nothing if the order is not complete or if anything has changed since.
    """
    if not known.version or not entries:
        return
    values: list[Value] = []
    for conversation_id, entry in entries.items():
        seconds, packed = (min(entry.seconds, _SECONDS), _pack(entry)) if entry else (0, b"")
        values += (conversation_id.bytes, seconds, packed)
    with contextlib.suppress(StoreUnavailable):
        STORE_ENTRIES(user_id.bytes, known.version, known.bans, *values)


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970, the unit by which conversations are ordered."""
    return round(moment.timestamp() * 1000)


def _pack(entry: PreparedEntry) -> bytes:
    lengths = (len(entry.head), len(entry.last_message), len(entry.tail))
    header = _ENTRY.pack(entry.last_key or _NO_KEY, entry.unread, int(entry.is_group), *lengths)
    people = b"".join(each.bytes for each in entry.person_ids)
    return header + entry.head + entry.last_message + entry.tail + people
