"""GET /api/v1/messages/conversations/{conversation_id}/read: how far each participant has read."""

from uuid import UUID

from layers.cassandra import conversations
from layers.core import people
from layers.core.clock import written
from layers.core.endpoint import endpoint
from layers.core.models import Shape, Time, Viewer


class Receipt(Shape, frozen=True, kw_only=True):
    """The newest message that somebody has read, and when."""

    user_id: UUID
    last_read_message_id: UUID
    last_read_at: Time


class Receipts(Shape, frozen=True, kw_only=True):
    """Of all who have read anything."""

    receipts: list[Receipt]


@endpoint
def handler(conversation_id: UUID, viewer: Viewer) -> Receipts:
    conversation = conversations.read(conversation_id, user_id=viewer.id)
    hidden = people.hidden_in(conversation, viewer)
    return Receipts(
        receipts=[
            Receipt(
                user_id=each.user_id, last_read_message_id=each.last_read_id, last_read_at=written(each.last_read_at)
            )
            for each in conversation.participants
            if each.is_member and each.user_id not in hidden and each.last_read_id and each.last_read_at
        ]
    )
