"""Conversations and messages as their participants use them.

Only participants see a conversation (R-P7). Messages and names of banned and removed accounts are hidden from all but
admins, and a conversation of two with such an account does not exist for the viewer (R-B1 to R-B3).
"""

from collections.abc import Callable, Sequence
from itertools import islice
from uuid import UUID

import msgspec

from layers.cassandra import connection, conversations, inboxes, message_ids, messages
from layers.cassandra.conversations import StoredConversation
from layers.cassandra.messages import MessageContent, PlacedMessage, UnreadRange
from layers.core.errors import ConversationNotFound, Invalid, MessageNotFound, UserNotFound
from layers.core.ids import time_of
from layers.core.models import Message, Person, ReactionName, Time, Viewer
from layers.services import live_events, people
from layers.valkey import inboxes as inbox_order
from layers.valkey import typing


class Access(msgspec.Struct, frozen=True):
    """The viewer's access to a conversation in which the viewer takes part."""

    conversation: StoredConversation
    viewer: Viewer
    hidden: frozenset[UUID]
    """The participants whose messages and names the viewer does not see."""

    @property
    def id(self) -> UUID:
        """The id of the conversation."""
        return self.conversation.id

    @property
    def visible_member_ids(self) -> list[UUID]:
        """The members that the viewer sees, including the viewer."""
        return [user_id for user_id in self.conversation.member_ids if user_id not in self.hidden]


def open_access(conversation_id: UUID, viewer: Viewer) -> Access:
    """Access to a conversation; raises `ConversationNotFound` for all but its participants."""
    return _check_access(conversations.read(conversation_id, user_id=viewer.id), viewer)


def open_group_access(conversation_id: UUID, viewer: Viewer) -> StoredConversation:
    """A group; raises `ConversationNotFound` for all but its members, and for a conversation of two."""
    conversation = conversations.read(conversation_id, user_id=viewer.id)
    if not conversation.is_group:
        raise ConversationNotFound
    return conversation


def _check_access(conversation: StoredConversation, viewer: Viewer) -> Access:
    hidden = people.find_hidden(conversation.member_ids, viewer)
    if conversation.other_than(viewer.id) in hidden:
        raise ConversationNotFound
    return Access(conversation, viewer, hidden)


class OpenedPair(msgspec.Struct, frozen=True):
    """The conversation of the viewer with another user."""

    conversation_id: UUID
    recipient: Person
    is_new: bool


def open_pair(recipient_id: UUID, viewer: Viewer) -> OpenedPair:
    """The conversation of the viewer with this user, which is created if there is none (R-DM6).

    Raises `Invalid` for the viewer's own id, and `UserNotFound` for an account that does not exist or is banned.
    """
    if recipient_id == viewer.id:
        raise Invalid.field("recipientId", "you cannot write to yourself")
    recipient = people.read_reachable([recipient_id]).get(recipient_id)
    if recipient is None:
        raise UserNotFound
    opened = conversations.open_pair(viewer.id, recipient_id)
    inbox_order.record_activity(opened.id, time_of(opened.id), [viewer.id])
    return OpenedPair(conversation_id=opened.id, recipient=recipient, is_new=opened.is_new)


def open_group(group_id: UUID, *, name: str, user_ids: Sequence[UUID]) -> list[Person]:
    """Create a group; its members, in the order of the ids. Raises `UserNotFound` if one is unknown or banned."""
    members = people.read_reachable(user_ids)
    if members.keys() != set(user_ids):
        raise UserNotFound
    conversations.open_group(group_id, name=name, user_ids=user_ids)
    inbox_order.record_activity(group_id, time_of(group_id), user_ids)
    return [members[user_id] for user_id in user_ids]


class MessageDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is about to be sent."""

    id: UUID
    """A new id (UUIDv7), from which the id of the message is derived."""
    content: MessageContent
    reply_to_id: UUID | None
    client_message_id: UUID | None
    store_picture: Callable[[], str] | None = None
    """Stores the picture of the message and returns its URL."""


def send(access: Access, draft: MessageDraft) -> Message:
    """Send a message. If one with the same client's id was sent before, nothing is sent and that one is returned.

    Raises `Invalid` if the message that it replies to is not in this conversation; with a picture the caller must have
    checked that with `check_reply`.
    """
    if not draft.store_picture:
        check_reply(access.id, draft.reply_to_id)
    message_id = message_ids.from_id(draft.id)
    if draft.client_message_id:
        message_id = messages.claim_id(
            access.id,
            sender_id=access.viewer.id,
            client_message_id=draft.client_message_id,
            message_id=message_id,
        )
        if sent_before := messages.find(access.id, message_id):
            return sent_before.message.to_model(access.id)
    message = messages.StoredMessage(
        message_id=message_id,
        sender_id=access.viewer.id,
        content=draft.content.text,
        content_type=draft.content.type,
        media_url=draft.store_picture() if draft.store_picture else draft.content.media_url,
        reply_to_id=draft.reply_to_id,
    )
    other_writes = [
        *inboxes.update_statements(access.conversation, message),
        conversations.record_sent_statement(access.id, access.viewer.id, message_id),
    ]
    messages.send(access.id, message, other_writes=other_writes)
    member_ids = access.conversation.member_ids
    inbox_order.record_activity(access.id, message_ids.time_of(message_id), member_ids)
    sent = message.to_model(access.id)
    live_events.publish(member_ids, live_events.MessageSent(message=sent))
    return sent


def check_reply(conversation_id: UUID, message_id: UUID | None) -> None:
    """Raises `Invalid` if the message is not in this conversation; None is accepted."""
    if message_id is not None and messages.find(conversation_id, message_id) is None:
        raise Invalid.field("replyToMessageId", "there is no such message in this conversation")


class MessageList(msgspec.Struct, frozen=True):
    """A page of messages, newest first."""

    messages: list[Message]
    has_more: bool


def list_messages(access: Access, *, before: UUID | None, size: int) -> MessageList:
    """The newest messages, or the newest before `before`, with the reactions that the viewer sees."""
    stored = messages.read_newest_first(access.id, before=before, at_once=size + 1)
    found = list(islice((each for each in stored if each.message.sender_id not in access.hidden), size + 1))
    reactions = messages.read_reactions(access.id, found[:size])
    shown = [
        each.message.to_model(
            access.id,
            [one for one in reactions.get(each.message.message_id, ()) if one.user_id not in access.hidden],
        )
        for each in found[:size]
    ]
    return MessageList(shown, has_more=len(found) > size)


def mark_read(access: Access, message_id: UUID) -> None:
    """Move the viewer's read mark to this message, but never back; raises `MessageNotFound`."""
    messages.read(access.id, message_id)
    connection.write_together(conversations.mark_read_statements(access.id, access.viewer.id, message_id))
    event = live_events.MessageRead(
        conversation_id=access.id, user_id=access.viewer.id, last_read_message_id=message_id
    )
    live_events.publish(access.conversation.member_ids, event)


class ReadMark(msgspec.Struct, frozen=True):
    """How far a participant has read a conversation."""

    user_id: UUID
    message_id: UUID
    read_at: Time


def list_read_marks(access: Access) -> list[ReadMark]:
    """The read marks of the members that the viewer sees, without those who have neither read nor sent a message.

    A member's own last message is their read mark unless a message of others before it is unread (R-DM3). That is
    decided here and not while sending, so a message that arrives during the sending is never counted as read.
    """
    visible = set(access.visible_member_ids)
    members = [each for each in access.conversation.participants if each.is_member and each.user_id in visible]
    ranges = [
        UnreadRange(
            conversation_id=access.id,
            after=each.last_read_id,
            before=each.last_sent_id,
            except_of=frozenset({each.user_id}),
        )
        for each in members
        if each.has_sent_since_read
    ]
    unread = iter(messages.count_unread(ranges))
    marks = (each.read_mark(has_unread=each.has_sent_since_read and next(unread) > 0) for each in members)
    return [ReadMark(*mark) for mark in marks if mark]


def react(access: Access, message_id: UUID, reaction: ReactionName) -> None:
    """Set the viewer's reaction to a message, in place of an earlier one; raises `MessageNotFound`."""
    placed = _read_visible(access, message_id)
    messages.set_reaction(access.id, placed, user_id=access.viewer.id, reaction=reaction)
    _publish_reaction(access, message_id, reaction)


def remove_reaction(access: Access, message_id: UUID) -> None:
    """Remove the viewer's reaction to a message, if there is one; raises `MessageNotFound`."""
    placed = messages.read(access.id, message_id)
    messages.clear_reaction(access.id, placed, user_id=access.viewer.id)
    _publish_reaction(access, message_id, None)


def start_typing(access: Access) -> None:
    """Show the other members that the viewer is typing, for 5 s (R-DM4)."""
    typing.start(access.id, user_id=access.viewer.id)
    others = [user_id for user_id in access.conversation.member_ids if user_id != access.viewer.id]
    live_events.publish(others, live_events.Typing(conversation_id=access.id, user_id=access.viewer.id))


def list_typing(access: Access) -> list[UUID]:
    """The members that are typing now and that the viewer sees, including the viewer."""
    visible = set(access.visible_member_ids)
    return [user_id for user_id in typing.read_users(access.id) if user_id in visible]


def _read_visible(access: Access, message_id: UUID) -> PlacedMessage:
    placed = messages.read(access.id, message_id)
    if placed.message.sender_id in access.hidden:
        raise MessageNotFound
    return placed


def _publish_reaction(access: Access, message_id: UUID, reaction: ReactionName | None) -> None:
    event = live_events.Reacted(
        conversation_id=access.id, message_id=message_id, user_id=access.viewer.id, reaction=reaction
    )
    live_events.publish(access.conversation.member_ids, event)
