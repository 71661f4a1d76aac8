"""PUT /api/v1/messages/conversations/{conversation_id}/mute: mute a conversation for the caller (an extension)."""

from uuid import UUID

from layers.cassandra import inboxes
from layers.core.models import Succeeded, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.services import messaging


@endpoint
def handler(conversation_id: UUID, viewer: Viewer) -> Succeeded:
    access = messaging.open_access(conversation_id, viewer)
    inboxes.set_muted(viewer.id, access.id, is_muted=True)
    return Succeeded()
