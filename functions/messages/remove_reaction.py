"""DELETE /api/v1/messages/conversations/{conversation_id}/messages/{message_id}/reactions: the caller's own."""

from uuid import UUID

from layers.cassandra import conversations, messages
from layers.core import live, people
from layers.core.endpoint import endpoint
from layers.core.models import Succeeded, Viewer


@endpoint
def handler(conversation_id: UUID, message_id: UUID, viewer: Viewer) -> Succeeded:
    conversation = conversations.read(conversation_id, user_id=viewer.id)
    people.hidden_in(conversation, viewer)
    found = messages.find(conversation_id, message_id)
    messages.take_back(conversation_id, found, user_id=viewer.id)
    told = live.Reacted(conversation_id=conversation_id, message_id=message_id, user_id=viewer.id, reaction=None)
    live.tell(conversation.member_ids, told)
    return Succeeded()
