"""GET /api/v1/messages/conversations/{conversation_id}: list the messages of a conversation, newest first."""

from uuid import UUID

from layers.cassandra import message_ids
from layers.core import limits
from layers.core.errors import Invalid
from layers.core.models import Message, MessagesPage, Shape, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.services import messaging


class Messages(Shape, frozen=True, kw_only=True):
    """A page of messages."""

    messages: list[Message]
    next_cursor: UUID | None
    """The `before` of the next page; null on the last page."""


@endpoint
def handler(conversation_id: UUID, query: MessagesPage, viewer: Viewer) -> Messages:
    before, size = query.before or query.cursor, min(query.limit, limits.PAGE_ROWS)
    if before is not None and not message_ids.is_message_id(before):
        raise Invalid.field("before", "must be the id of a message")
    access = messaging.open_access(conversation_id, viewer)
    page = messaging.list_messages(access, before=before, size=size)
    return Messages(messages=page.messages, next_cursor=page.messages[-1].message_id if page.has_more else None)
