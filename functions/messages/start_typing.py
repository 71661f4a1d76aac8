"""POST /api/v1/messages/conversations/{conversation_id}/typing: show for 5 s that the caller is typing."""

from uuid import UUID

from layers.core.models import Succeeded, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.services import conversation_access, messaging


@endpoint
def handler(conversation_id: UUID, viewer: Viewer) -> Succeeded:
    messaging.start_typing(conversation_access.open_one(conversation_id, viewer))
    return Succeeded()
