"""POST /api/v1/messages/groups: a conversation of 3 to 32 people under a name (an extension)."""

from typing import Annotated
from uuid import UUID

import msgspec

from layers.cassandra import conversations
from layers.core import limits, people
from layers.core.endpoint import endpoint
from layers.core.errors import Invalid, UserNotFound
from layers.core.ids import NewId, time_of
from layers.core.models import GroupName, Person, Shape, Viewer
from layers.core.response import Created
from layers.core.text import bounded
from layers.valkey import inboxes as order


class NewGroup(Shape, frozen=True, kw_only=True):
    """Its name, and who takes part beside the caller."""

    name: GroupName
    user_ids: Annotated[list[UUID], msgspec.Meta(min_length=2, max_length=limits.GROUP_PEOPLE)]


class Group(Shape, frozen=True, kw_only=True):
    """The conversation and its people, the caller first."""

    conversation_id: UUID
    name: str
    members: list[Person]


@endpoint(raises=(UserNotFound,))
def handler(body: NewGroup, viewer: Viewer, new: NewId) -> Created[Group]:
    name = bounded("name", body.name, limits.GROUP_NAME_LENGTH)
    if not name:
        raise Invalid.field("name", "a group has a name")
    user_ids = list(dict.fromkeys([viewer.id, *body.user_ids]))
    if not limits.GROUP_LEAST <= len(user_ids) <= limits.GROUP_PEOPLE:
        raise Invalid.field("userIds", f"{limits.GROUP_LEAST} to {limits.GROUP_PEOPLE} people with you")
    known = people.reachable(user_ids)
    if known.keys() != set(user_ids):
        raise UserNotFound
    conversations.open_group(new, name=name, user_ids=user_ids)
    order.active(new, time_of(new), user_ids)
    return Created(Group(conversation_id=new, name=name, members=[known[user_id] for user_id in user_ids]))
