"""PUT /api/v1/messages/groups/{conversation_id}: rename a group; every member may do this (an extension)."""

from uuid import UUID

from layers.cassandra import conversations
from layers.core.models import GroupName, Shape, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.services import messaging


class NewName(Shape, frozen=True, kw_only=True):
    """The new name."""

    name: GroupName


class RenamedGroup(Shape, frozen=True, kw_only=True):
    """The name as it is stored, without markup."""

    name: str


@endpoint
def handler(conversation_id: UUID, body: NewName, viewer: Viewer) -> RenamedGroup:
    group = messaging.open_group_access(conversation_id, viewer)
    conversations.rename(group.id, name=body.name)
    return RenamedGroup(name=body.name)
