"""DELETE /api/v1/messages/conversations/{conversation_id}/mute: notices are wanted again (an extension)."""

from uuid import UUID

from layers.cassandra import conversations, inboxes
from layers.core import people
from layers.core.endpoint import endpoint
from layers.core.models import Succeeded, Viewer


@endpoint
def handler(conversation_id: UUID, viewer: Viewer) -> Succeeded:
    people.hidden_in(conversations.read(conversation_id, user_id=viewer.id), viewer)
    inboxes.mute(viewer.id, conversation_id, is_muted=False)
    return Succeeded()
