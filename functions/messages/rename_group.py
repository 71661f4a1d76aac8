"""PUT /api/v1/messages/groups/{conversation_id}: another name for a group, by any of its people (an extension)."""

from uuid import UUID

from layers.cassandra import conversations
from layers.core import limits
from layers.core.endpoint import endpoint
from layers.core.errors import ConversationNotFound, Invalid
from layers.core.models import GroupName, Shape, Viewer
from layers.core.text import bounded


class NewName(Shape, frozen=True, kw_only=True):
    """The name."""

    name: GroupName


class Renamed(Shape, frozen=True, kw_only=True):
    """The name as it is now, without markup."""

    name: str


@endpoint
def handler(conversation_id: UUID, body: NewName, viewer: Viewer) -> Renamed:
    if not conversations.read(conversation_id, user_id=viewer.id).is_group:
        raise ConversationNotFound
    name = bounded("name", body.name, limits.GROUP_NAME_LENGTH)
    if not name:
        raise Invalid.field("name", "a group has a name")
    conversations.rename(conversation_id, name=name)
    return Renamed(name=name)
