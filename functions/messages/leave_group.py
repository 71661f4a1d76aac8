"""DELETE /api/v1/messages/groups/{conversation_id}: leave a group permanently (an extension)."""

from uuid import UUID

from layers.cassandra import conversations
from layers.core.models import Succeeded, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.services import messaging


@endpoint
def handler(conversation_id: UUID, viewer: Viewer) -> Succeeded:
    group = messaging.open_group_access(conversation_id, viewer)
    conversations.leave(group.id, user_id=viewer.id)
    return Succeeded()
