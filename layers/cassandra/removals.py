"""What is left in conversations when an account is gone: nothing of it."""

from collections.abc import Iterator
from itertools import batched
from typing import Final
from uuid import UUID

from layers.cassandra import connection, conversations, messages, profiles
from layers.cassandra.connection import Statement
from layers.cassandra.messages import Found
from layers.core.events import ProfileUpdated
from layers.core.models import Time

_AT_ONCE: Final = 100

CONVERSATIONS: Final = "SELECT conversation_id FROM inboxes WHERE user_id = :user_id"


def remove(user_id: UUID, *, removed_at: Time) -> Iterator[str]:
    """Remove the account's messages, reactions and name; gives the media URLs of the messages. May be done again.

    Its rows among participants stay, without a name: who is in a conversation is not told otherwise afterwards.
    """
    gone = ProfileUpdated(
        user_id=user_id, username="", display_name="", profile_picture_url=None, updated_at=removed_at, is_hidden=True
    )
    profiles.put(gone)
    for row in connection.execute(CONVERSATIONS, {"user_id": user_id}):
        yield from _removed(row["conversation_id"], user_id)


REMOVE: Final = """
    DELETE FROM messages WHERE conversation_id = :conversation_id AND bucket = :bucket AND message_id = :message_id
"""


def _removed(conversation_id: UUID, user_id: UUID) -> Iterator[str]:
    for some in batched(messages.newest_first(conversation_id, before=None, at_once=_AT_ONCE), _AT_ONCE, strict=False):
        reactions = messages.reactions(conversation_id, some)
        for found in some:
            if found.message.sender_id == user_id:
                if found.message.media_url:
                    yield found.message.media_url
                connection.execute(REMOVE, _place(conversation_id, found))
            elif any(said.user_id == user_id for said in reactions.get(found.message.message_id, ())):
                messages.take_back(conversation_id, found, user_id=user_id)
    if participants := conversations.read_all([conversation_id]).get(conversation_id):
        connection.execute_all(
            *(
                statement
                for each in participants.participants
                for statement in _untold(conversation_id, each.user_id, by=user_id)
            )
        )


LAST: Final = "SELECT last_sender_id FROM inboxes WHERE user_id = :user_id AND conversation_id = :conversation_id"
UNTELL: Final = "UPDATE inboxes SET last_preview = '' WHERE user_id = :user_id AND conversation_id = :conversation_id"


def _untold(conversation_id: UUID, user_id: UUID, *, by: UUID) -> list[Statement]:
    values = {"user_id": user_id, "conversation_id": conversation_id}
    told = any(row["last_sender_id"] == by for row in connection.execute(LAST, values))
    return [(UNTELL, values)] if told else []


def _place(conversation_id: UUID, found: Found) -> dict[str, object]:
    return {
        "conversation_id": conversation_id,
        "bucket": found.bucket,
        "message_id": found.message.message_id,
    }
