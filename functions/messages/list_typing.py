"""GET /api/v1/messages/conversations/{conversation_id}/typing: list the participants who are typing now."""

from uuid import UUID

from layers.core.models import Shape, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.services import conversation_access, messaging


class TypingUsers(Shape, frozen=True, kw_only=True):
    """The participants who are typing, the caller included."""

    typing_users: list[UUID]


@endpoint
def handler(conversation_id: UUID, viewer: Viewer) -> TypingUsers:
    access = conversation_access.open_one(conversation_id, viewer)
    return TypingUsers(typing_users=messaging.list_typing(access))
