"""DELETE /api/v1/messages/groups/{conversation_id}: leave a group permanently (an extension)."""

from uuid import UUID

from layers.core.models import Succeeded, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.services import conversation_access, messaging


@endpoint
def handler(conversation_id: UUID, viewer: Viewer) -> Succeeded:
    group = conversation_access.open_group(conversation_id, viewer)
    messaging.leave_group(group)
    return Succeeded()
