"""POST /api/v1/messages/conversations/{conversation_id}/read: the caller has read as far as this message."""

from uuid import UUID

from layers.cassandra import connection, conversations, messages
from layers.core import live, people
from layers.core.endpoint import endpoint
from layers.core.models import Shape, Succeeded, Viewer


class ReadMark(Shape, frozen=True, kw_only=True):
    """The newest message that was read."""

    last_message_id: UUID


@endpoint
def handler(conversation_id: UUID, body: ReadMark, viewer: Viewer) -> Succeeded:
    conversation = conversations.read(conversation_id, user_id=viewer.id)
    people.hidden_in(conversation, viewer)
    messages.find(conversation_id, body.last_message_id)
    connection.write_together(conversations.marked(conversation_id, viewer.id, body.last_message_id))
    told = live.MessageRead(
        conversation_id=conversation_id, user_id=viewer.id, last_read_message_id=body.last_message_id
    )
    live.tell(conversation.member_ids, told)
    return Succeeded()
