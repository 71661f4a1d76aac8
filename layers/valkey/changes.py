"""Changes of conversations and inboxes that are under way (docs/decisions/0038-conversations-in-valkey.md).

Who changes what `conversations` and `inboxes` keep records that first (`begin`), and again when the change is written
(`end`). While a change is under way, nobody gets from Valkey what it may change. A change that is not ended within
`CHANGE_SECONDS` may have been written or not, so what it may have changed is forgotten then.

If a change cannot be recorded, this process deletes from Valkey what the change concerns: at once if Valkey receives
that, otherwise before the next call of this process to Valkey.
"""

import secrets
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from layers.core.errors import StoreUnavailable
from layers.valkey import connection, conversations
from layers.valkey.connection import Call, Script, mark_stale
from layers.valkey.conversations import Members

CHANGE_SECONDS: Final = 35
"""Longer than a request can take (30 s, R-D2)."""

_KEPT: Final = conversations.PAGE_MESSAGES + 1
_CUT_ABOVE: Final = _KEPT + 25
"""The number of messages from which a page is cut to `_KEPT`. Cutting it for each message would copy it each time."""
_ENTRY_SECONDS: Final = 60 * 60
_TOKEN_BYTES: Final = 16


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A change that is being written."""

    token: bytes
    conversation_id: UUID | None
    """The conversation whose messages or members it changes."""
    user_ids: tuple[UUID, ...]
    """The users whose inboxes it changes."""
    is_recorded: bool
    """False if Valkey could not be told of it."""


BEGIN: Final = Script("conversation", "inbox", "change_begin")


def begin(conversation_id: UUID | None, user_ids: Sequence[UUID] = (), *, of_members: bool = False) -> Change:
    """Record that a conversation and the inboxes of these users are about to be changed.

    `of_members` if `Members` may change. Call it before the change is written, and one of the functions that end it
    afterwards; if it is unknown whether the change was written, call `forget`.
    """
    token = secrets.token_bytes(_TOKEN_BYTES)
    try:
        BEGIN(token, CHANGE_SECONDS * 1000, _bytes(conversation_id), int(of_members), _joined(user_ids))
    except StoreUnavailable:
        is_recorded = False
    else:
        is_recorded = True
    return Change(token=token, conversation_id=conversation_id, user_ids=tuple(user_ids), is_recorded=is_recorded)


BEGIN_MESSAGE: Final = Script("conversation", "inbox", "message_begin")


def begin_message(conversation_id: UUID, viewer_id: UUID) -> tuple[Members, Change] | None:
    """Record that the viewer is about to send a message, if that is known to be allowed; in one round trip.

    None if Valkey does not know who takes part, or if members are hidden; then nothing is recorded.
    """
    token = secrets.token_bytes(_TOKEN_BYTES)
    try:
        access = BEGIN_MESSAGE(token, CHANGE_SECONDS * 1000, conversation_id.bytes, viewer_id.bytes)
    except StoreUnavailable:
        return None
    if not access:
        return None
    members = conversations.unpack_members(access)
    return members, Change(token=token, conversation_id=conversation_id, user_ids=members.user_ids, is_recorded=True)


END: Final = Script("conversation", "inbox", "change_end")


def end(
    change: Change,
    *,
    forget_page: bool = False,
    entry_of: UUID | None = None,
    active_at: int | None = None,
    removed_from: UUID | None = None,
    forget_inboxes: bool = False,
) -> None:
    """End a change that was written.

    `forget_page` if it has changed messages. `entry_of` is the conversation that the inboxes show differently, and
    `active_at` the milliseconds of an activity in it, which moves it up. `removed_from` is the user who no longer has
    it. `forget_inboxes` if it has moved down.
    """
    page = b"page" if forget_page else b""
    activity = b"" if active_at is None else active_at
    values = (_joined(change.user_ids), _bytes(entry_of), activity, _bytes(removed_from), int(forget_inboxes))
    _end(change, Call(END, (change.token, _bytes(change.conversation_id), page, *values)))


def cancel(change: Change) -> None:
    """End a change of which nothing was written."""
    if change.is_recorded:
        end(change)


class EndedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was written, as pages and inboxes show it."""

    key: bytes
    """The key by which messages are sorted, 16 bytes."""
    body: bytes
    """Its JSON."""
    sender_id: UUID
    sent_at: int
    """In milliseconds since 1970."""
    preview: bytes
    """What inboxes show of it (`inboxes.PreparedEntry.last_message`)."""
    shows_for_all: bool
    """False if it is hidden from some members."""


END_MESSAGE: Final = Script("conversation", "inbox", "message_end")


def end_message(change: Change, message: EndedMessage, *, also: Call) -> Any:
    """End the sending of a message: add it to the newest messages and to the inboxes; in one round trip with `also`.

    The reply to `also`; None without Valkey.
    """
    page_values = (message.key, message.body, _KEPT, _CUT_ABOVE)
    entry_values = (message.sender_id.bytes, message.sent_at, message.preview, _ENTRY_SECONDS)
    values = (*page_values, _joined(change.user_ids), *entry_values, int(not message.shows_for_all))
    return _end(change, Call(END_MESSAGE, (change.token, _bytes(change.conversation_id), *values)), also)


def forget(change: Change) -> None:
    """Call this if it is unknown whether a change was written.

    A change that is recorded stays so until its time is over; then all that it may have changed is forgotten.
    """
    if not change.is_recorded:
        mark_stale(_keys(change))


def _end(change: Change, call: Call, *others: Call) -> Any:
    """The reply to the last call; None without Valkey."""
    if not change.is_recorded:
        mark_stale(_keys(change))
    try:
        if change.is_recorded or others:
            return connection.run(*([call] if change.is_recorded else []), *others)[-1]
    except StoreUnavailable:
        mark_stale(_keys(change))
    return None


def _keys(change: Change) -> list[bytes]:
    keys = [name + user_id.bytes for user_id in change.user_ids for name in (b"inbox:", b"entries:")]
    return keys + ([b"conversation:" + change.conversation_id.bytes] if change.conversation_id else [])


def _bytes(id_: UUID | None) -> bytes:
    return id_.bytes if id_ else b""


def _joined(ids: Sequence[UUID]) -> bytes:
    return b"".join(id_.bytes for id_ in ids)
