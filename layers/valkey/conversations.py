"""Who takes part in a conversation, and its newest messages: the hash `conversation:{id}`.

lua/conversation.lua has its fields. It is exact: `changes` says how changes are recorded. A reader that finds something
missing gets a version; any change removes the version, and what is stored must present it, so nothing is stored that
was read before a change was written. A ban, or its end, makes all that is kept of who takes part invalid, by the number
`bans`.
"""

import contextlib
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from layers.core.errors import StoreUnavailable
from layers.valkey import connection
from layers.valkey.connection import Call, Script

SECONDS: Final = 5 * 60
PAGE_MESSAGES: Final = 50
"""The largest page that is kept. One more message is kept with it, which shows that there is a next page."""
_BUCKETS: Final = 2
_NO_BUCKET: Final = 2**64 - 1
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_ACCESS: Final = struct.Struct(">QQ?QQ")
_STORED_ACCESS: Final = struct.Struct(">Q?QQ")
_MEMBER: Final = struct.Struct(">16s?")
_MESSAGE: Final = struct.Struct(">16sI")


class Members(msgspec.Struct, frozen=True, kw_only=True):
    """Who takes part in a conversation, and where its messages are stored."""

    is_group: bool
    user_ids: tuple[UUID, ...]
    """Without those who have left."""
    hidden_ids: frozenset[UUID]
    """Those of them who are banned or removed."""
    buckets: tuple[datetime, ...]
    """The starts of the two newest buckets, newest first; fewer if there are not so many."""

    def other_than(self, user_id: UUID) -> UUID | None:
        """The other member of a conversation of two; None in a group."""
        if self.is_group:
            return None
        return next((each for each in self.user_ids if each != user_id), None)


class Page(msgspec.Struct, frozen=True):
    """The newest messages."""

    last: bytes
    """The key of the last message on the page; empty if there are no older messages."""
    bodies: bytes
    """The JSON of the messages, newest first, joined by commas."""


class Known(msgspec.Struct, frozen=True):
    """What is known without the messages; nothing without Valkey."""

    version: bytes = b""
    """To be presented when storing what is missing; empty if nothing must be stored."""
    bans: int = 0
    members: Members | None = None


READ: Final = Script("conversation", "conversation_read")


def read_call(conversation_id: UUID, viewer_id: UUID, *, size: int) -> Call:
    """The call of `read`, to be made together with others; `parse` reads its reply."""
    return Call(READ, (conversation_id.bytes, viewer_id.bytes, size, SECONDS))


def parse(reply: Sequence[Any]) -> Page | Known:
    """The reply to a call of `read_call`."""
    if reply[0] == 1:
        return Page(last=reply[1], bodies=reply[2])
    _, version, bans, access = reply
    return Known(version, bans, unpack_members(access) if access else None)


def read(conversation_id: UUID, viewer_id: UUID, *, size: int) -> Page | Known:
    """The newest messages, at most `PAGE_MESSAGES`, if all are known and the viewer sees all; one round trip."""
    try:
        return parse(connection.run(read_call(conversation_id, viewer_id, size=size))[0])
    except StoreUnavailable:
        return Known()


def read_known(conversation_id: UUID, viewer_id: UUID) -> Known:
    """What is known without the messages; one round trip."""
    known = read(conversation_id, viewer_id, size=0)
    return known if isinstance(known, Known) else Known()


STORE: Final = Script("conversation", "conversation_store")


def store_members(conversation_id: UUID, known: Known, members: Members) -> None:
    """Store who takes part, as it was read after `known`; does nothing if that has changed since."""
    if known.version:
        starts = [_milliseconds(bucket) for bucket in members.buckets]
        packed = _STORED_ACCESS.pack(known.bans, members.is_group, *starts, *[_NO_BUCKET] * (_BUCKETS - len(starts)))
        packed += b"".join(_MEMBER.pack(each.bytes, each in members.hidden_ids) for each in members.user_ids)
        with contextlib.suppress(StoreUnavailable):
            STORE(conversation_id.bytes, known.version, packed, SECONDS, b"", 0, b"", SECONDS)


def store_page(
    conversation_id: UUID, known: Known, messages: Sequence[tuple[bytes, bytes]], *, is_whole: bool, seconds: int
) -> None:
    """Store the newest messages, as key and JSON of each, newest first; does nothing if that has changed since.

    `is_whole` says that there are no others, `seconds` how long all of them exist. At least `PAGE_MESSAGES` + 1 must be
    given if there are so many.
    """
    if known.version and seconds > 0:
        index = b"".join(_MESSAGE.pack(key, len(body)) for key, body in messages)
        page = is_whole.to_bytes() + index
        bodies = b",".join(body for _, body in messages)
        with contextlib.suppress(StoreUnavailable):
            STORE(conversation_id.bytes, known.version, b"", 0, page, min(seconds, SECONDS), bodies, SECONDS)


def unpack_members(access: bytes) -> Members:
    """The members in a reply of the scripts."""
    _, _, is_group, *buckets = _ACCESS.unpack_from(access)
    members = list(_MEMBER.iter_unpack(memoryview(access)[_ACCESS.size :]))
    return Members(
        is_group=is_group,
        user_ids=tuple(UUID(bytes=id_) for id_, _ in members),
        hidden_ids=frozenset(UUID(bytes=id_) for id_, is_hidden in members if is_hidden),
        buckets=tuple(_EPOCH + timedelta(milliseconds=each) for each in buckets if each != _NO_BUCKET),
    )


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
