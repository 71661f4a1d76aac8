"""POST /api/v1/messages/conversations/{conversation_id}/messages/{message_id}/reactions: set the caller's reaction."""

from uuid import UUID

from layers.core.models import ReactionName, Shape, Succeeded, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.entrypoints.response import Created
from layers.services import conversation_access, messaging


class NewReaction(Shape, frozen=True, kw_only=True):
    """The caller's reaction; it replaces an earlier one to the same message."""

    reaction: ReactionName


@endpoint
def handler(conversation_id: UUID, message_id: UUID, body: NewReaction, viewer: Viewer) -> Created[Succeeded]:
    access = conversation_access.open_one(conversation_id, viewer)
    messaging.react(access, message_id, body.reaction)
    return Created(Succeeded())
