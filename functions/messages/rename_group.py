"""PUT /api/v1/messages/groups/{conversation_id}: rename a group; every member may do this (an extension)."""

from uuid import UUID

from layers.core.models import GroupName, Shape, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.services import conversation_access, messaging


class NewName(Shape, frozen=True, kw_only=True):
    """The new name."""

    name: GroupName


class RenamedGroup(Shape, frozen=True, kw_only=True):
    """The name as it is stored, without markup."""

    name: str


@endpoint
def handler(conversation_id: UUID, body: NewName, viewer: Viewer) -> RenamedGroup:
    group = conversation_access.open_group(conversation_id, viewer)
    messaging.rename_group(group, body.name)
    return RenamedGroup(name=body.name)
