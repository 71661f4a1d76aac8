"""POST /api/v1/messages/conversations/{conversation_id}/messages/{message_id}/reactions: one per user and message."""

from uuid import UUID

from layers.cassandra import conversations, messages
from layers.core import live, people
from layers.core.endpoint import endpoint
from layers.core.errors import MessageNotFound
from layers.core.models import ReactionName, Shape, Succeeded, Viewer
from layers.core.response import Created


class NewReaction(Shape, frozen=True, kw_only=True):
    """It replaces an earlier one."""

    reaction: ReactionName


@endpoint
def handler(conversation_id: UUID, message_id: UUID, body: NewReaction, viewer: Viewer) -> Created[Succeeded]:
    conversation = conversations.read(conversation_id, user_id=viewer.id)
    hidden = people.hidden_in(conversation, viewer)
    found = messages.find(conversation_id, message_id)
    if found.message.sender_id in hidden:
        raise MessageNotFound
    messages.react(conversation_id, found, user_id=viewer.id, reaction=body.reaction)
    told = live.Reacted(
        conversation_id=conversation_id, message_id=message_id, user_id=viewer.id, reaction=body.reaction
    )
    live.tell(conversation.member_ids, told)
    return Created(Succeeded())
