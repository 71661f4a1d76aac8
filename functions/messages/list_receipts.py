"""GET /api/v1/messages/conversations/{conversation_id}/read: list how far each participant has read."""

from uuid import UUID

from layers.core.models import Shape, Time, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.services import conversation_access, messaging


class Receipt(Shape, frozen=True, kw_only=True):
    """The newest message that a participant has read, and when it was read."""

    user_id: UUID
    last_read_message_id: UUID
    last_read_at: Time


class Receipts(Shape, frozen=True, kw_only=True):
    """The receipts of all participants who have read or sent a message."""

    receipts: list[Receipt]


@endpoint
def handler(conversation_id: UUID, viewer: Viewer) -> Receipts:
    marks = messaging.list_read_marks(conversation_access.open_one(conversation_id, viewer))
    return Receipts(
        receipts=[
            Receipt(user_id=mark.user_id, last_read_message_id=mark.message_id, last_read_at=mark.read_at)
            for mark in marks
        ]
    )
