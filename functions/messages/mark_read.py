"""POST /api/v1/messages/conversations/{conversation_id}/read: mark the messages up to one as read.

The mark never moves back: an older message than the marked one changes nothing.
"""

from uuid import UUID

from layers.core.models import Shape, Succeeded, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.services import conversation_access, messaging


class NewReadMark(Shape, frozen=True, kw_only=True):
    """The newest message that the caller has read."""

    last_message_id: UUID


@endpoint
def handler(conversation_id: UUID, body: NewReadMark, viewer: Viewer) -> Succeeded:
    access = conversation_access.open_one(conversation_id, viewer)
    messaging.mark_read(access, body.last_message_id)
    return Succeeded()
