"""GET /api/v1/messages/conversations/{conversation_id}: list the messages of a conversation, newest first."""

from uuid import UUID

from layers.cassandra import message_ids
from layers.core import limits
from layers.core.errors import Invalid
from layers.core.models import Message, MessagesPage, Shape, Viewer
from layers.core.prefetched import Prefetched
from layers.entrypoints.endpoint import endpoint
from layers.entrypoints.response import Encoded
from layers.services import message_list
from layers.valkey.connection import Call


class Messages(Shape, frozen=True, kw_only=True):
    """A page of messages."""

    messages: list[Message]
    next_cursor: UUID | None
    """The `before` of the next page; null on the last page."""


def _prefetch(viewer_id: UUID, conversation_id: UUID, query: MessagesPage) -> Call:
    return message_list.prefetch(viewer_id, conversation_id, before=query.before or query.cursor, size=_size(query))


@endpoint(prefetch=_prefetch)
def handler(
    conversation_id: UUID, query: MessagesPage, viewer: Viewer, prefetched: Prefetched | None
) -> Encoded[Messages]:
    before = query.before or query.cursor
    if before is not None and not message_ids.is_message_id(before):
        raise Invalid.field("before", "must be the id of a message")
    page = message_list.read(viewer, conversation_id, before=before, size=_size(query), prefetched=prefetched)
    return Encoded(page)


def _size(query: MessagesPage) -> int:
    return min(query.limit, limits.PAGE_ROWS)
