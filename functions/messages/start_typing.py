"""POST /api/v1/messages/conversations/{conversation_id}/typing: the caller types, for the next 5 s."""

from uuid import UUID

from layers.cassandra import conversations
from layers.core import live, people
from layers.core.endpoint import endpoint
from layers.core.models import Succeeded, Viewer
from layers.valkey import typing


@endpoint
def handler(conversation_id: UUID, viewer: Viewer) -> Succeeded:
    conversation = conversations.read(conversation_id, user_id=viewer.id)
    people.hidden_in(conversation, viewer)
    typing.begin(conversation_id, user_id=viewer.id)
    others = [user_id for user_id in conversation.member_ids if user_id != viewer.id]
    live.tell(others, live.Typing(conversation_id=conversation_id, user_id=viewer.id))
    return Succeeded()
