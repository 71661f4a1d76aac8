"""POST /api/v1/messages/conversations: open the conversation with another user.

There is one conversation for each pair of users; it is created by the first request.
"""

from uuid import UUID

from layers.core.errors import UserNotFound
from layers.core.models import Person, Shape, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.entrypoints.response import Created
from layers.services import messaging


class Recipient(Shape, frozen=True, kw_only=True):
    """The other user."""

    recipient_id: UUID


class OpenedConversation(Shape, frozen=True, kw_only=True):
    """The conversation; `idempotent` is true if it already existed."""

    conversation_id: UUID
    recipient: Person
    idempotent: bool


@endpoint(raises=(UserNotFound,))
def handler(body: Recipient, viewer: Viewer) -> Created[OpenedConversation]:
    pair = messaging.open_pair(body.recipient_id, viewer)
    return Created(
        OpenedConversation(conversation_id=pair.conversation_id, recipient=pair.recipient, idempotent=not pair.is_new)
    )
