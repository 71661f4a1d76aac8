"""Removing what an account has written in conversations (R-B3)."""

from collections.abc import Iterator
from itertools import batched
from typing import Final
from uuid import UUID

from layers.cassandra import connection, messages
from layers.cassandra.messages import PlacedMessage

_BATCH: Final = 100

READ_CONVERSATION_IDS: Final = "SELECT conversation_id FROM inboxes WHERE user_id = :user_id"


def read_conversation_ids(user_id: UUID) -> list[UUID]:
    """The conversations in which an account may have written."""
    return [row["conversation_id"] for row in connection.execute(READ_CONVERSATION_IDS, {"user_id": user_id})]


REMOVE_MESSAGE: Final = """
    DELETE FROM messages WHERE conversation_id = :conversation_id AND bucket = :bucket AND message_id = :message_id
"""


def remove_from(conversation_id: UUID, *, user_id: UUID) -> Iterator[str]:
    """Remove what an account has written in a conversation; yields the media URLs of its messages. May be repeated."""
    for batch in batched(
        messages.read_newest_first(conversation_id, before=None, at_once=_BATCH), _BATCH, strict=False
    ):
        reactions = messages.read_reactions(conversation_id, batch)
        for found in batch:
            if found.message.sender_id == user_id:
                if found.message.media_url:
                    yield found.message.media_url
                connection.execute(REMOVE_MESSAGE, _message_key(conversation_id, found))
            elif any(reaction.user_id == user_id for reaction in reactions.get(found.message.message_id, ())):
                messages.clear_reaction(conversation_id, found, user_id=user_id)


def _message_key(conversation_id: UUID, found: PlacedMessage) -> dict[str, object]:
    return {
        "conversation_id": conversation_id,
        "bucket": found.bucket,
        "message_id": found.message.message_id,
    }
