"""Access to conversations: only participants see one (R-P7).

Messages and names of banned and removed accounts are hidden from all but admins, and a conversation of two with such an
account does not exist for the viewer (R-B1 to R-B3). Who takes part is kept in Valkey.
"""

from uuid import UUID

import msgspec

from layers.cassandra import connection, conversations
from layers.core.errors import ConversationNotFound
from layers.core.models import Viewer
from layers.services import people
from layers.valkey import changes
from layers.valkey import conversations as kept
from layers.valkey.changes import Change
from layers.valkey.conversations import Known, Members


class Access(msgspec.Struct, frozen=True):
    """The viewer's access to a conversation in which the viewer takes part."""

    id: UUID
    """The id of the conversation."""
    members: Members
    viewer: Viewer

    @property
    def hidden(self) -> frozenset[UUID]:
        """The members whose messages and names the viewer does not see."""
        return frozenset() if self.viewer.role == "admin" else self.members.hidden_ids - {self.viewer.id}

    @property
    def visible_member_ids(self) -> list[UUID]:
        """The members that the viewer sees, including the viewer."""
        return [user_id for user_id in self.members.user_ids if user_id not in self.hidden]


def open_one(conversation_id: UUID, viewer: Viewer) -> Access:
    """Access to a conversation, in one round trip to Valkey unless it has to be read from the databases.

    Raises `ConversationNotFound` for all but participants, and `StoreUnavailable` without Cassandra.
    """
    connection.check()
    return open_known(conversation_id, viewer, kept.read_known(conversation_id, viewer.id))


def open_group(conversation_id: UUID, viewer: Viewer) -> Access:
    """Access to a group; raises `ConversationNotFound` for all but its members, and for a conversation of two."""
    access = open_one(conversation_id, viewer)
    if not access.members.is_group:
        raise ConversationNotFound
    return access


def open_known(conversation_id: UUID, viewer: Viewer, known: Known) -> Access:
    """Access to a conversation of which Valkey knows this much. Raises as `open_one`."""
    members = known.members or _read_members(conversation_id, known)
    access = Access(conversation_id, members, viewer)
    if viewer.id not in members.user_ids or members.other_than(viewer.id) in access.hidden:
        raise ConversationNotFound
    return access


def open_to_send(conversation_id: UUID, viewer: Viewer) -> tuple[Access, Change]:
    """Access to a conversation, and the sending of a message begun; in one round trip to Valkey if all is known.

    Raises as `open_one`.
    """
    connection.check()
    begun = changes.begin_message(conversation_id, viewer.id)
    if begun:
        return Access(conversation_id, begun[0], viewer), begun[1]
    access = open_one(conversation_id, viewer)
    return access, changes.begin(conversation_id, access.members.user_ids)


def _read_members(conversation_id: UUID, known: Known) -> Members:
    """Who takes part, from Cassandra and PostgreSQL; stored in Valkey. Raises `ConversationNotFound`."""
    found, buckets = conversations.read_with_buckets(conversation_id)
    hidden = people.read_hidden(found.member_ids)
    members = Members(
        is_group=found.is_group,
        user_ids=tuple(found.member_ids),
        hidden_ids=hidden.ids,
        buckets=tuple(buckets),
    )
    if hidden.is_current:
        kept.store_members(conversation_id, known, members)
    return members
