"""POST /api/v1/messages/groups: create a conversation of 3 to 32 users with a name (an extension)."""

from typing import Annotated
from uuid import UUID

import msgspec

from layers.core import limits
from layers.core.errors import Invalid, UserNotFound
from layers.core.ids import NewId
from layers.core.models import GroupName, Person, Shape, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.entrypoints.response import Created
from layers.services import messaging


class NewGroup(Shape, frozen=True, kw_only=True):
    """The name of the group and its members."""

    name: GroupName
    user_ids: Annotated[list[UUID], msgspec.Meta(min_length=2, max_length=limits.GROUP_MAX_MEMBERS)]
    """Ids of the other members. Repeated ids count once; the caller is always a member."""


class Group(Shape, frozen=True, kw_only=True):
    """The conversation and its members, the caller first."""

    conversation_id: UUID
    name: str
    members: list[Person]


@endpoint(raises=(UserNotFound,))
def handler(body: NewGroup, viewer: Viewer, new: NewId) -> Created[Group]:
    user_ids = list(dict.fromkeys([viewer.id, *body.user_ids]))
    if not limits.GROUP_MIN_MEMBERS <= len(user_ids) <= limits.GROUP_MAX_MEMBERS:
        number = f"{limits.GROUP_MIN_MEMBERS} to {limits.GROUP_MAX_MEMBERS}"
        raise Invalid.field("userIds", f"a group must have {number} members, the caller included")
    members = messaging.open_group(new, name=body.name, user_ids=user_ids)
    return Created(Group(conversation_id=new, name=body.name, members=members))
