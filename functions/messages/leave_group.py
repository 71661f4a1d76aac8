"""DELETE /api/v1/messages/groups/{conversation_id}: the caller leaves the group, for good (an extension)."""

from uuid import UUID

from layers.cassandra import conversations
from layers.core.endpoint import endpoint
from layers.core.errors import ConversationNotFound
from layers.core.models import Succeeded, Viewer


@endpoint
def handler(conversation_id: UUID, viewer: Viewer) -> Succeeded:
    if not conversations.read(conversation_id, user_id=viewer.id).is_group:
        raise ConversationNotFound
    conversations.leave(conversation_id, user_id=viewer.id)
    return Succeeded()
