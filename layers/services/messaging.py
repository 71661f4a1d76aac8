"""What participants do in conversations: open them, send messages, react, mark as read, type."""

from collections.abc import Callable, Sequence
from uuid import UUID

import msgspec

from layers.cassandra import connection, conversations, inboxes, message_ids, messages
from layers.cassandra.messages import MessageContent, PlacedMessage, StoredMessage, UnreadRange
from layers.core.errors import Invalid, MessageNotFound, UserNotFound
from layers.core.ids import time_of
from layers.core.models import Message, Person, ReactionName, Time, Viewer
from layers.services import conversation_access, conversation_changes, inbox, live_events, people
from layers.services.conversation_access import Access
from layers.valkey import changes, pairs, typing
from layers.valkey import inboxes as inboxes_kept
from layers.valkey.changes import EndedMessage


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
    change = changes.begin(None, [viewer.id])
    with conversation_changes.forget_unless_written(change):
        opened = conversations.open_pair(viewer.id, recipient_id, claim=lambda id_: pairs.claim(id_, change.token))
    changes.end(change, entry_of=opened.id, active_at=inboxes_kept.milliseconds(opened.opened_at))
    return OpenedPair(conversation_id=opened.id, recipient=recipient, is_new=opened.is_new)


def open_group(group_id: UUID, *, name: str, user_ids: Sequence[UUID]) -> list[Person]:
    """Create a group; its members, in the order of the ids. Raises `UserNotFound` if one is unknown or banned."""
    members = people.read_reachable(user_ids)
    if members.keys() != set(user_ids):
        raise UserNotFound
    change = changes.begin(group_id, user_ids)
    with conversation_changes.forget_unless_written(change):
        conversations.open_group(group_id, name=name, user_ids=user_ids)
    changes.end(change, entry_of=group_id, active_at=inboxes_kept.milliseconds(time_of(group_id)))
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


def send(conversation_id: UUID, viewer: Viewer, draft: MessageDraft) -> Message:
    """Send a message. If one with the same client's id was sent before, nothing is sent and that one is returned.

    Raises `ConversationNotFound` for all but participants, and `Invalid` for a message without content or one that
    replies to a message of another conversation.
    """
    access, change = conversation_access.open_to_send(conversation_id, viewer)
    try:
        message, sent_before = _prepare(access, draft)
    except BaseException:
        changes.cancel(change)
        raise
    if sent_before:
        # The request that has sent it may have failed before Valkey was told.
        changes.end(change, forget_page=True, entry_of=access.id, active_at=_milliseconds(message.message_id))
        return message.to_model(access.id)
    with conversation_changes.forget_unless_written(change):
        _write(access, message)
    sent = message.to_model(access.id)
    event = live_events.publication(access.members.user_ids, live_events.MessageSent(message=sent))
    published = changes.end_message(change, _ended(access, message, sent), also=event)
    if published:
        live_events.send_published(published)
    return sent


def _ended(access: Access, message: StoredMessage, sent: Message) -> EndedMessage:
    return EndedMessage(
        key=message_ids.packed_sort_key(message.message_id),
        body=msgspec.json.encode(sent),
        sender_id=message.sender_id,
        sent_at=_milliseconds(message.message_id),
        preview=inbox.last_message_members(message, message_ids.time_of(message.message_id)),
        shows_for_all=message.sender_id not in access.members.hidden_ids,
    )


def _milliseconds(message_id: UUID) -> int:
    return inboxes_kept.milliseconds(message_ids.time_of(message_id))


def _prepare(access: Access, draft: MessageDraft) -> tuple[StoredMessage, bool]:
    """The message that a draft becomes, and whether it was sent before."""
    if not draft.content.text.strip() and not draft.content.media_url and not draft.store_picture:
        raise Invalid("content or mediaUrl is required.")
    check_reply(access.id, draft.reply_to_id)
    message_id = message_ids.from_id(draft.id)
    if draft.client_message_id:
        claim = messages.claim_id(
            access.id,
            sender_id=access.viewer.id,
            client_message_id=draft.client_message_id,
            message_id=message_id,
        )
        message_id = claim.message_id
        if not claim.is_new and (sent_before := messages.find(access.id, message_id)):
            return sent_before.message, True
    message = StoredMessage(
        message_id=message_id,
        sender_id=access.viewer.id,
        content=draft.content.text,
        content_type=draft.content.type,
        media_url=draft.store_picture() if draft.store_picture else draft.content.media_url,
        reply_to_id=draft.reply_to_id,
    )
    return message, False


def _write(access: Access, message: StoredMessage) -> None:
    """Store a message; one write, unless it is the first of a bucket."""
    bucket = messages.find_bucket(access.id, message.message_id, newest=access.members.buckets)
    if not bucket.is_announced:
        with conversation_changes.change_buckets(access.id):
            if not access.members.is_group:
                inboxes.add_pair(access.id, access.members.user_ids)
            messages.announce(access.id, bucket.starts_at)
    messages.add(access.id, bucket.starts_at, message)
    if messages.is_full(access.id, bucket.starts_at, message.message_id):
        with conversation_changes.change_buckets(access.id) as is_told:
            messages.announce_next(access.id, is_told=is_told)


def check_reply(conversation_id: UUID, message_id: UUID | None) -> None:
    """Raises `Invalid` if the message is not in this conversation; None is accepted."""
    if message_id is not None and messages.find(conversation_id, message_id) is None:
        raise Invalid.field("replyToMessageId", "there is no such message in this conversation")


def mark_read(access: Access, message_id: UUID) -> None:
    """Move the viewer's read mark to this message, but never back; raises `MessageNotFound`."""
    messages.read(access.id, message_id)
    with conversation_changes.change_entries(access.id, [access.viewer.id]):
        connection.write_together(conversations.mark_read_statements(access.id, access.viewer.id, message_id))
    event = live_events.MessageRead(
        conversation_id=access.id, user_id=access.viewer.id, last_read_message_id=message_id
    )
    live_events.publish(access.members.user_ids, event)


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
    participants = conversations.read(access.id).participants
    members = [each for each in participants if each.is_member and each.user_id in visible]
    last_sent = messages.read_last_sent(access.id, {each.user_id: each.last_read_id for each in members})
    members = [each.with_sent(last_sent.get(each.user_id)) for each in members]
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
    with conversation_changes.change_reactions(access.id):
        messages.set_reaction(access.id, placed, user_id=access.viewer.id, reaction=reaction)
    _publish_reaction(access, message_id, reaction)


def remove_reaction(access: Access, message_id: UUID) -> None:
    """Remove the viewer's reaction to a message, if there is one; raises `MessageNotFound`."""
    placed = messages.read(access.id, message_id)
    with conversation_changes.change_reactions(access.id):
        messages.clear_reaction(access.id, placed, user_id=access.viewer.id)
    _publish_reaction(access, message_id, None)


def rename_group(group: Access, name: str) -> None:
    """Change the name of a group (R-G5)."""
    with conversation_changes.change_entries(group.id, group.members.user_ids):
        conversations.rename(group.id, name=name)


def set_muted(access: Access, *, is_muted: bool) -> None:
    """Mute or unmute a conversation for the viewer (R-N1)."""
    with conversation_changes.change_entries(access.id, [access.viewer.id]):
        inboxes.set_muted(access.viewer.id, access.id, is_muted=is_muted)


def leave_group(group: Access) -> None:
    """Remove the viewer from the members of a group, for good (R-G6)."""
    with conversation_changes.change_members(group.id, group.members.user_ids, leaver_id=group.viewer.id):
        conversations.leave(group.id, user_id=group.viewer.id)


def start_typing(access: Access) -> None:
    """Show the other members that the viewer is typing, for 5 s (R-DM4)."""
    typing.start(access.id, user_id=access.viewer.id)
    others = [user_id for user_id in access.members.user_ids if user_id != access.viewer.id]
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
    live_events.publish(access.members.user_ids, event)
