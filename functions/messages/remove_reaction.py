"""DELETE /api/v1/messages/conversations/{conversation_id}/messages/{message_id}/reactions: remove a reaction.

It is the caller's own reaction to the message; without one, nothing changes.
"""

from uuid import UUID

from layers.core.models import Succeeded, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.services import conversation_access, messaging


@endpoint
def handler(conversation_id: UUID, message_id: UUID, viewer: Viewer) -> Succeeded:
    access = conversation_access.open_one(conversation_id, viewer)
    messaging.remove_reaction(access, message_id)
    return Succeeded()
