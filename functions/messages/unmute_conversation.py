"""DELETE /api/v1/messages/conversations/{conversation_id}/mute: unmute a conversation for the caller (an extension)."""

from uuid import UUID

from layers.core.models import Succeeded, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.services import conversation_access, messaging


@endpoint
def handler(conversation_id: UUID, viewer: Viewer) -> Succeeded:
    access = conversation_access.open_one(conversation_id, viewer)
    messaging.set_muted(access, is_muted=False)
    return Succeeded()
