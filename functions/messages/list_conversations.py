"""GET /api/v1/messages/conversations: the caller's conversations, the latest activity first."""

from uuid import UUID

from layers.cassandra import conversations, inboxes, messages
from layers.cassandra.conversations import Conversation as Group
from layers.cassandra.inboxes import Entry
from layers.cassandra.messages import Stretch
from layers.core import limits, pages, people
from layers.core.clock import written
from layers.core.endpoint import endpoint
from layers.core.models import Conversation, Page, Person, Shape, Viewer
from layers.core.pages import HIGHEST_FIRST, Row
from layers.valkey import inboxes as order


class Conversations(Shape, frozen=True, kw_only=True):
    """One page."""

    conversations: list[Conversation]
    next_cursor: str | None


@endpoint
def handler(query: Page, viewer: Viewer) -> Conversations:
    window = pages.window(query, "conversations", viewer=viewer, start=HIGHEST_FIRST)
    after = window.after if query.cursor else None
    places = order.page(viewer.id, after=after, at_most=window.at_most)
    if places is None:
        entries = {entry.conversation_id: entry for entry in inboxes.read_all(viewer.id)}
        order.fill(viewer.id, {entry.conversation_id: entry.active_at for entry in entries.values()})
        times = ((order.milliseconds(entry.active_at), entry.conversation_id) for entry in entries.values())
        places = sorted((place for place in times if place < window.after), reverse=True)[: window.at_most]
    else:
        entries = inboxes.read_some(viewer.id, [conversation_id for _, conversation_id in places])
    listed, next_cursor = window.page([Row(place, entries.get(place[1])) for place in places])
    return Conversations(conversations=_shown([entry for entry in listed if entry], viewer), next_cursor=next_cursor)


def _shown(entries: list[Entry], viewer: Viewer) -> list[Conversation]:
    groups = conversations.read_all([entry.conversation_id for entry in entries if entry.other_user_id is None])
    members = {entry.conversation_id: [entry.other_user_id] for entry in entries if entry.other_user_id}
    members |= {group.id: group.member_ids for group in groups.values()}
    everybody = {user_id for some in members.values() for user_id in some}
    hidden, known = people.hidden(everybody, viewer), people.named(everybody)
    seen = [entry for entry in entries if entry.other_user_id not in hidden and entry.conversation_id in members]
    unread = _unread([entry for entry in seen if entry.has_unread], passed_over=hidden | {viewer.id})
    return [
        _conversation(
            entry,
            groups.get(entry.conversation_id),
            [known[id_] for id_ in members[entry.conversation_id] if id_ in known and id_ not in hidden],
            unread=unread.get(entry.conversation_id, 0),
            tells_last=entry.last_sender_id not in hidden,
        )
        for entry in seen
    ]


def _unread(entries: list[Entry], *, passed_over: frozenset[UUID]) -> dict[UUID, int]:
    stretches = [Stretch(entry.conversation_id, after=entry.last_read_id) for entry in entries]
    counts = messages.unread(stretches, passed_over=passed_over)
    return {entry.conversation_id: count for entry, count in zip(entries, counts, strict=True)}


def _conversation(
    entry: Entry, group: Group | None, members: list[Person], *, unread: int, tells_last: bool
) -> Conversation:
    other = members[0] if members and group is None else None
    return Conversation(
        conversation_id=entry.conversation_id,
        other_user_id=entry.other_user_id,
        other_username=other.username if other else (group and group.name) or "",
        other_profile_picture=other.profile_picture if other else None,
        last_message_preview=entry.last_preview if tells_last else "",
        last_message_sender_id=entry.last_sender_id if tells_last else None,
        last_message_at=written(entry.active_at),
        unread_count=min(unread, limits.UNREAD_COUNTED),
        has_more_unread=unread > limits.UNREAD_COUNTED,
        is_muted=entry.is_muted,
        is_group=group is not None,
        name=group.name if group else None,
        members=members if group else [],
    )
