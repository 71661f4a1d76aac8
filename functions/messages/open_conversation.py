"""POST /api/v1/messages/conversations: the one conversation with somebody, new or not."""

from uuid import UUID

from layers.cassandra import conversations
from layers.core import people
from layers.core.endpoint import endpoint
from layers.core.errors import Invalid, UserNotFound
from layers.core.ids import time_of
from layers.core.models import Person, Shape, Viewer
from layers.core.response import Created
from layers.valkey import inboxes as order


class Recipient(Shape, frozen=True, kw_only=True):
    """Whom to write to."""

    recipient_id: UUID


class Opened(Shape, frozen=True, kw_only=True):
    """The conversation; `idempotent` is true for one that was there."""

    conversation_id: UUID
    recipient: Person
    idempotent: bool


@endpoint(raises=(UserNotFound,))
def handler(body: Recipient, viewer: Viewer) -> Created[Opened]:
    if body.recipient_id == viewer.id:
        raise Invalid.field("recipientId", "you cannot write to yourself")
    recipient = people.reachable([body.recipient_id]).get(body.recipient_id)
    if recipient is None:
        raise UserNotFound
    opened = conversations.open_pair(viewer.id, body.recipient_id)
    order.active(opened.id, time_of(opened.id), [viewer.id])
    return Created(Opened(conversation_id=opened.id, recipient=recipient, idempotent=not opened.is_new))
