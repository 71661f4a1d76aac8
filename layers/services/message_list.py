"""Pages of the messages of a conversation: the newest page is kept in Valkey, all others are read from Cassandra."""

from collections.abc import Sequence
from itertools import islice
from uuid import UUID

import msgspec

from layers.cassandra import connection, message_ids, messages
from layers.cassandra.messages import PlacedMessage
from layers.core.models import Message, Viewer
from layers.core.prefetched import Prefetched
from layers.services import conversation_access
from layers.services.conversation_access import Access
from layers.valkey import conversations as kept
from layers.valkey.connection import Call
from layers.valkey.conversations import Known, Page


def prefetch(viewer_id: UUID, conversation_id: UUID, *, before: UUID | None, size: int) -> Call:
    """The call to Valkey that `read` begins with, to be made together with the admission."""
    return kept.read_call(conversation_id, viewer_id, size=_kept_size(before, size))


def read(
    viewer: Viewer, conversation_id: UUID, *, before: UUID | None, size: int, prefetched: Prefetched | None = None
) -> bytes:
    """The newest messages, or the newest before `before`, with the reactions that the viewer sees.

    The answer `{messages, nextCursor}` as JSON. `prefetched` is the reply to the call of `prefetch` for the same page.
    Raises `ConversationNotFound` for all but participants, and `StoreUnavailable` without Cassandra.
    """
    connection.check()
    size_kept = _kept_size(before, size)
    found = kept.parse(prefetched.reply) if prefetched else kept.read(conversation_id, viewer.id, size=size_kept)
    if isinstance(found, Page):
        return _encode(found.bodies, message_ids.from_packed_sort_key(found.last) if found.last else None)
    access = conversation_access.open_known(conversation_id, viewer, found)
    if size_kept and not access.hidden:
        listed = _read_newest(access, found)
        shown, has_more = listed[:size], len(listed) > size
    else:
        placed = _read_placed(access, before=before, at_most=size + 1)
        shown, has_more = _with_reactions(access, placed[:size]), len(placed) > size
    return _encode(b",".join(map(msgspec.json.encode, shown)), shown[-1].message_id if has_more else None)


def _kept_size(before: UUID | None, size: int) -> int:
    """The number of messages to ask Valkey for; 0 for a page that it does not keep."""
    return size if before is None and size <= kept.PAGE_MESSAGES else 0


def _encode(bodies: bytes, last: UUID | None) -> bytes:
    return b'{"messages":[%b],"nextCursor":%b}' % (bodies, b'"%b"' % str(last).encode() if last else b"null")


def _read_newest(access: Access, known: Known) -> list[Message]:
    """The newest messages, one more than a page; all of them are stored in Valkey, so none may be hidden."""
    at_most = kept.PAGE_MESSAGES + 1
    newest = _with_reactions(access, _read_placed(access, before=None, at_most=at_most))
    kept.store_page(
        access.id,
        known,
        [(message_ids.packed_sort_key(each.message_id), msgspec.json.encode(each)) for each in newest],
        is_whole=len(newest) < at_most,
        seconds=messages.seconds_left(newest[-1].message_id) if newest else kept.SECONDS,
    )
    return newest


def _read_placed(access: Access, *, before: UUID | None, at_most: int) -> list[PlacedMessage]:
    """The messages that the viewer sees, newest first."""
    stored = messages.read_newest_first(access.id, before=before, at_once=at_most)
    return list(islice((each for each in stored if each.message.sender_id not in access.hidden), at_most))


def _with_reactions(access: Access, placed: Sequence[PlacedMessage]) -> list[Message]:
    reactions = messages.read_reactions(access.id, placed)
    return [
        each.message.to_model(
            access.id,
            [one for one in reactions.get(each.message.message_id, ()) if one.user_id not in access.hidden],
        )
        for each in placed
    ]
