"""The list of conversations of an account: kept in Valkey, and read from Cassandra where something is missing.

Admins see banned and removed accounts, so their lists are always read from Cassandra.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from layers.cassandra import connection, conversations, inboxes, message_ids, messages
from layers.cassandra.inboxes import InboxEntry
from layers.cassandra.messages import PlacedMessage, StoredMessage, UnreadRange
from layers.core import cursors, limits
from layers.core.clock import format_time
from layers.core.models import Conversation, Person, Shape, Time, Viewer
from layers.core.prefetched import Prefetched
from layers.services import people
from layers.valkey import inboxes as kept
from layers.valkey import persons
from layers.valkey.connection import Call
from layers.valkey.inboxes import Keys, Known, Page, PreparedEntry
from layers.valkey.persons import VersionedPerson

_LIST: Final = "conversations"


class Listed(msgspec.Struct, frozen=True):
    """A conversation that is listed."""

    entry: InboxEntry
    last: PlacedMessage | None
    """Its newest message."""
    active_at: datetime
    """The time of the newest message, or when the conversation was opened."""

    @property
    def id(self) -> UUID:
        """The id of the conversation."""
        return self.entry.conversation_id

    @property
    def keys(self) -> Keys:
        """The keys by which the list is sorted."""
        return kept.milliseconds(self.active_at), self.id

    @property
    def may_have_unread(self) -> bool:
        """Whether a message is newer than the read mark of this user."""
        read = self.entry.last_read_id
        return self.last is not None and (
            read is None or message_ids.sort_key(read) < message_ids.sort_key(self.last.message.message_id)
        )


def prefetch(viewer_id: UUID, *, cursor: str | None, size: int) -> Call:
    """The call to Valkey that `read` begins with, to be made together with the admission. Raises `Invalid`."""
    return kept.read_call(viewer_id, after=_parse_cursor(cursor, viewer_id), size=size)


def read(viewer: Viewer, *, cursor: str | None, size: int, prefetched: Prefetched | None = None) -> bytes:
    """One page of the viewer's conversations, latest activity first, and the cursor of the next page.

    The answer `{conversations, nextCursor}` as JSON. `prefetched` is the reply to the call of `prefetch` for the same
    page. Raises `Invalid` for a wrong cursor, and `StoreUnavailable` without Cassandra.
    """
    connection.check()
    after = _parse_cursor(cursor, viewer.id)
    if viewer.role == "admin":
        found: Page | Known = Known()
    elif prefetched:
        found = kept.parse(prefetched.reply)
    else:
        found = kept.read(viewer.id, after=after, size=size)
    if isinstance(found, Known):
        found = _complete(viewer, found) if found.listed is not None else _read_all(viewer, found, after, size)
    last = b'"%b"' % cursors.encode(_LIST, viewer.id, found.last).encode() if found.last else b"null"
    return b'{"conversations":[%b],"nextCursor":%b}' % (found.entries, last)


def last_message_members(message: StoredMessage | None, active_at: datetime) -> bytes:
    """The members of a listed conversation that say what its last message is, as JSON, with a comma before each."""
    shown = _LastMessage(
        last_message_preview=message.content[: limits.MESSAGE_PREVIEW_LENGTH] if message else "",
        last_message_sender_id=message.sender_id if message else None,
        last_message_at=format_time(active_at),
    )
    return _members(shown)


def _parse_cursor(cursor: str | None, viewer_id: UUID) -> Keys | None:
    return None if cursor is None else cursors.decode(cursor, _LIST, viewer_id, tuple[int, UUID])


def _read_all(viewer: Viewer, known: Known, after: Keys | None, size: int) -> Page:
    """A page from the whole list; stores the order of the list, and the page."""
    listed = _read_listed(inboxes.read_all(viewer.id))
    kept.store_order(viewer.id, known, {each.id: each.active_at for each in listed.values()})
    in_order = sorted((each.keys for each in listed.values() if after is None or each.keys < after), reverse=True)
    page = [conversation_id for _, conversation_id in in_order[:size]]
    described = _describe(viewer, known, page, [listed[conversation_id] for conversation_id in page])
    shown = (described[conversation_id] for conversation_id in page)
    return Page(b",".join(filter(None, shown)), in_order[size - 1] if len(in_order) > size else None)


def _complete(viewer: Viewer, known: Known) -> Page:
    """A page of which some entries are missing; stores them."""
    page = known.listed or ()
    missing = [each.keys[1] for each in page if each.entry is None]
    listed = _read_listed(inboxes.read_some(viewer.id, missing))
    described = _describe(viewer, known, missing, listed.values())
    shown = (described[each.keys[1]] if each.entry is None else each.entry for each in page)
    return Page(b",".join(filter(None, shown)), page[-1].keys if known.has_more else None)


def _read_listed(entries: Mapping[UUID, InboxEntry]) -> dict[UUID, Listed]:
    """Those of the entries that are listed: with a message, or opened by the user."""
    newest = messages.read_newest(list(entries))
    listed = {}
    for conversation_id, entry in entries.items():
        last = newest.get(conversation_id)
        active_at = message_ids.time_of(last.message.message_id) if last else entry.opened_at
        if active_at is not None:
            listed[conversation_id] = Listed(entry, last, active_at)
    return listed


class _Description(msgspec.Struct, frozen=True):
    """What the list shows of a conversation."""

    listed: Listed
    group_name: str | None
    """None for a conversation of two."""
    person_ids: tuple[UUID, ...]
    """The other user or, in a group, the members that the viewer sees."""
    unread: int
    shows_last: bool
    """Whether the viewer sees the last message."""

    @property
    def last(self) -> StoredMessage | None:
        """The last message, if the viewer sees it."""
        return self.listed.last.message if self.listed.last and self.shows_last else None

    def to_model(self, persons: Mapping[UUID, VersionedPerson]) -> Conversation:
        """The conversation as answers show it."""
        found = [persons[user_id].person for user_id in self.person_ids if user_id in persons]
        other = found[0] if found and self.group_name is None else None
        return Conversation(
            conversation_id=self.listed.id,
            other_user_id=self.person_ids[0] if self.group_name is None else None,
            other_username=other.username if other else self.group_name or "",
            other_profile_picture=other.profile_picture if other else None,
            last_message_preview=self.last.content[: limits.MESSAGE_PREVIEW_LENGTH] if self.last else "",
            last_message_sender_id=self.last.sender_id if self.last else None,
            last_message_at=format_time(self.listed.active_at),
            unread_count=min(self.unread, limits.UNREAD_MAX),
            has_more_unread=self.unread > limits.UNREAD_MAX,
            is_muted=self.listed.entry.is_muted,
            is_group=self.group_name is not None,
            name=self.group_name,
            members=found if self.group_name is not None else [],
        )

    def to_entry(self) -> PreparedEntry:
        """The conversation as Valkey keeps it."""
        last = self.listed.last
        head: Shape = _PairHead(conversation_id=self.listed.id, other_user_id=self.person_ids[0])
        if self.group_name is not None:
            head = _GroupHead(conversation_id=self.listed.id, other_username=self.group_name)
        tail = _Tail(
            is_muted=self.listed.entry.is_muted, is_group=self.group_name is not None, name=self.group_name, members=[]
        )
        return PreparedEntry(
            head=msgspec.json.encode(head)[:-1],
            last_message=last_message_members(self.last, self.listed.active_at),
            tail=_members(tail)[:-1],
            person_ids=self.person_ids,
            is_group=self.group_name is not None,
            last_key=message_ids.packed_sort_key(last.message.message_id) if last else b"",
            unread=self.unread,
            seconds=messages.seconds_left(last.message.message_id) if last else limits.SESSION_SECONDS,
        )


class _PairHead(Shape, frozen=True, kw_only=True):
    """The first members of a conversation of two."""

    conversation_id: UUID
    other_user_id: UUID


class _GroupHead(Shape, frozen=True, kw_only=True):
    """The first members of a group."""

    conversation_id: UUID
    other_user_id: None = None
    other_username: str
    other_profile_picture: None = None


class _LastMessage(Shape, frozen=True, kw_only=True):
    """The members that say what the last message is."""

    last_message_preview: str
    last_message_sender_id: UUID | None
    last_message_at: Time


class _Tail(Shape, frozen=True, kw_only=True):
    """The members after the numbers of unread messages."""

    is_muted: bool
    is_group: bool
    name: str | None
    members: list[Person]


def _members(part: Shape) -> bytes:
    """The members of a JSON object, with a comma before each."""
    return b"," + msgspec.json.encode(part)[1:-1]


def _describe(
    viewer: Viewer, known: Known, conversation_ids: Sequence[UUID], listed: Iterable[Listed]
) -> dict[UUID, bytes]:
    """The JSON of these conversations, empty for those that are not shown; stored in Valkey."""
    described: dict[UUID, _Description | None] = dict.fromkeys(conversation_ids)
    members = _read_members(list(listed))
    everyone = {user_id for each in members for user_id in each.user_ids}
    hidden = people.find_hidden(everyone, viewer)
    found = people.read_people(everyone)
    visible = [each for each in members if not each.is_hidden(hidden.ids, viewer.id)]
    unread = _count_unread([each.listed for each in visible], except_of=hidden.ids | {viewer.id})
    for each, count in zip(visible, unread, strict=True):
        last = each.listed.last
        described[each.listed.id] = _Description(
            listed=each.listed,
            group_name=each.group_name,
            person_ids=tuple(id_ for id_ in each.user_ids if id_ not in hidden.ids),
            unread=count,
            shows_last=last is not None and last.message.sender_id not in hidden.ids,
        )
    if hidden.is_current:
        persons.store(found.values())
        entries = {id_: each.to_entry() if each else None for id_, each in described.items() if _is_whole(each, found)}
        kept.store_entries(viewer.id, known, entries)
    return {id_: msgspec.json.encode(each.to_model(found)) if each else b"" for id_, each in described.items()}


def _is_whole(described: _Description | None, found: Collection[UUID]) -> bool:
    return described is None or all(user_id in found for user_id in described.person_ids)


class _Members(msgspec.Struct, frozen=True):
    """A listed conversation with its members."""

    listed: Listed
    group_name: str | None
    user_ids: tuple[UUID, ...]
    """The other user or, in a group, all members."""

    def is_hidden(self, hidden: Collection[UUID], viewer_id: UUID) -> bool:
        """Whether the conversation does not exist for the viewer (R-B1)."""
        return self.group_name is None and any(each in hidden for each in self.user_ids if each != viewer_id)


def _read_members(listed: Sequence[Listed]) -> list[_Members]:
    unknown = conversations.read_all([each.id for each in listed if each.entry.other_user_id is None])
    members = []
    for each in listed:
        if each.entry.other_user_id is not None:
            members.append(_Members(each, None, (each.entry.other_user_id,)))
        elif conversation := unknown.get(each.id):
            members.append(_Members(each, conversation.name or "", tuple(conversation.member_ids)))
    return members


def _count_unread(listed: Sequence[Listed], *, except_of: frozenset[UUID]) -> list[int]:
    ranges = {
        each.id: UnreadRange(
            conversation_id=each.id,
            after=each.entry.last_read_id,
            newest_bucket=each.last.bucket if each.last else None,
            except_of=except_of,
        )
        for each in listed
        if each.may_have_unread
    }
    counts = dict(zip(ranges, messages.count_unread(list(ranges.values())), strict=True))
    return [counts.get(each.id, 0) for each in listed]
