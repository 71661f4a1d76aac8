"""The list of conversations of an account: entries from Cassandra, their order from Valkey."""

from collections.abc import Sequence
from uuid import UUID

from layers.cassandra import conversations, inboxes, messages
from layers.cassandra.conversations import StoredConversation
from layers.cassandra.inboxes import InboxEntry
from layers.cassandra.messages import UnreadRange
from layers.core import limits
from layers.core.clock import format_time
from layers.core.models import Conversation, Person, Viewer
from layers.core.pages import Row, Window
from layers.services import people
from layers.valkey import inboxes as inbox_order

type InboxKeys = tuple[int, UUID]
"""The sort keys of the list, latest first: the time of the last activity in milliseconds, and the conversation's id."""


def list_conversations(
    viewer: Viewer, window: Window[InboxKeys], *, is_first_page: bool
) -> tuple[list[Conversation], str | None]:
    """One page of the viewer's conversations, latest activity first, and the cursor of the next page.

    Raises `StoreUnavailable` without Cassandra.
    """
    after = None if is_first_page else window.after
    page_keys = inbox_order.read_page(viewer.id, after=after, at_most=window.at_most)
    if page_keys is None:
        entries = {entry.conversation_id: entry for entry in inboxes.read_all(viewer.id)}
        page_keys = _read_order(viewer, list(entries.values()), window)
    else:
        entries = inboxes.read_some(viewer.id, [conversation_id for _, conversation_id in page_keys])
    listed, next_cursor = window.page([Row(keys, entries.get(keys[1])) for keys in page_keys])
    return _describe([entry for entry in listed if entry], viewer), next_cursor


def _read_order(viewer: Viewer, entries: Sequence[InboxEntry], window: Window[InboxKeys]) -> list[InboxKeys]:
    """The keys of one page, from the whole list; stores the order in Valkey for an hour."""
    inbox_order.fill(viewer.id, {entry.conversation_id: entry.active_at for entry in entries})
    page_keys = ((inbox_order.milliseconds(entry.active_at), entry.conversation_id) for entry in entries)
    return sorted((keys for keys in page_keys if keys < window.after), reverse=True)[: window.at_most]


def _describe(entries: Sequence[InboxEntry], viewer: Viewer) -> list[Conversation]:
    groups = conversations.read_all([entry.conversation_id for entry in entries if entry.other_user_id is None])
    members = {entry.conversation_id: [entry.other_user_id] for entry in entries if entry.other_user_id}
    members |= {group.id: group.member_ids for group in groups.values()}
    everyone = {user_id for user_ids in members.values() for user_id in user_ids}
    hidden, persons = people.find_hidden(everyone, viewer), people.read_people(everyone)
    visible = [entry for entry in entries if entry.other_user_id not in hidden and entry.conversation_id in members]
    unread = _count_unread([entry for entry in visible if entry.has_unread], except_of=hidden | {viewer.id})
    return [
        _conversation(
            entry,
            groups.get(entry.conversation_id),
            [persons[id_] for id_ in members[entry.conversation_id] if id_ in persons and id_ not in hidden],
            unread=unread.get(entry.conversation_id, 0),
            shows_last=entry.last_sender_id not in hidden,
        )
        for entry in visible
    ]


def _count_unread(entries: Sequence[InboxEntry], *, except_of: frozenset[UUID]) -> dict[UUID, int]:
    ranges = [
        UnreadRange(conversation_id=entry.conversation_id, after=entry.last_read_id, except_of=except_of)
        for entry in entries
    ]
    counts = messages.count_unread(ranges)
    return {entry.conversation_id: count for entry, count in zip(entries, counts, strict=True)}


def _conversation(
    entry: InboxEntry, group: StoredConversation | None, members: list[Person], *, unread: int, shows_last: bool
) -> Conversation:
    other = members[0] if members and group is None else None
    return Conversation(
        conversation_id=entry.conversation_id,
        other_user_id=entry.other_user_id,
        other_username=other.username if other else (group and group.name) or "",
        other_profile_picture=other.profile_picture if other else None,
        last_message_preview=entry.last_preview if shows_last else "",
        last_message_sender_id=entry.last_sender_id if shows_last else None,
        last_message_at=format_time(entry.active_at),
        unread_count=min(unread, limits.UNREAD_MAX),
        has_more_unread=unread > limits.UNREAD_MAX,
        is_muted=entry.is_muted,
        is_group=group is not None,
        name=group.name if group else None,
        members=members if group else [],
    )
