"""GET /api/v1/messages/conversations/{conversation_id}/typing: who types now."""

from uuid import UUID

from layers.cassandra import conversations
from layers.core import people
from layers.core.endpoint import endpoint
from layers.core.models import Shape, Viewer
from layers.valkey import typing


class TypingUsers(Shape, frozen=True, kw_only=True):
    """The caller included."""

    typing_users: list[UUID]


@endpoint
def handler(conversation_id: UUID, viewer: Viewer) -> TypingUsers:
    conversation = conversations.read(conversation_id, user_id=viewer.id)
    seen = set(conversation.member_ids) - people.hidden_in(conversation, viewer)
    return TypingUsers(typing_users=[user_id for user_id in typing.users(conversation_id) if user_id in seen])
