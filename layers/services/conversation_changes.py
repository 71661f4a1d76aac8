"""Changes of conversations: Valkey is told before a change is written to Cassandra, and when it is written.

Each function is a context manager around the block that writes the change. After an error in the block it is unknown
whether the change was written, and Valkey forgets what it may have changed.
"""

import contextlib
from collections.abc import Iterator, Sequence
from uuid import UUID

from layers.valkey import changes
from layers.valkey.changes import Change


@contextlib.contextmanager
def change_reactions(conversation_id: UUID) -> Iterator[None]:
    """Reactions to messages are changed."""
    change = changes.begin(conversation_id)
    with forget_unless_written(change):
        yield
    changes.end(change, forget_page=True)


@contextlib.contextmanager
def remove_messages(conversation_id: UUID, user_ids: Sequence[UUID]) -> Iterator[None]:
    """Messages are removed; `user_ids` are the members."""
    change = changes.begin(conversation_id, user_ids)
    with forget_unless_written(change):
        yield
    changes.end(change, forget_page=True, forget_inboxes=True)


@contextlib.contextmanager
def change_buckets(conversation_id: UUID) -> Iterator[bool]:
    """It is changed where messages are stored. The block gets whether Valkey was told."""
    change = changes.begin(conversation_id, of_members=True)
    with forget_unless_written(change):
        yield change.is_recorded
    changes.end(change)


@contextlib.contextmanager
def change_members(conversation_id: UUID, user_ids: Sequence[UUID], *, leaver_id: UUID) -> Iterator[None]:
    """A member leaves; `user_ids` are the members, including this one."""
    change = changes.begin(conversation_id, user_ids, of_members=True)
    with forget_unless_written(change):
        yield
    changes.end(change, entry_of=conversation_id, removed_from=leaver_id)


@contextlib.contextmanager
def change_entries(conversation_id: UUID, user_ids: Sequence[UUID]) -> Iterator[None]:
    """The inboxes of these users show the conversation differently."""
    change = changes.begin(None, user_ids)
    with forget_unless_written(change):
        yield
    changes.end(change, entry_of=conversation_id)


@contextlib.contextmanager
def forget_unless_written(change: Change) -> Iterator[None]:
    """A change that was begun is written."""
    try:
        yield
    except BaseException:
        changes.forget(change)
        raise
