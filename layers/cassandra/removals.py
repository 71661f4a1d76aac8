"""Removing what an account has written in conversations (R-B3)."""

from collections.abc import Iterator
from itertools import batched
from typing import Final
from uuid import UUID

from layers.cassandra import connection, conversations, messages, profiles
from layers.cassandra.connection import Statement
from layers.cassandra.messages import PlacedMessage
from layers.core.events import ProfileUpdated
from layers.core.models import Time

_BATCH: Final = 100

READ_CONVERSATION_IDS: Final = "SELECT conversation_id FROM inboxes WHERE user_id = :user_id"


def remove_account(user_id: UUID, *, removed_at: Time) -> Iterator[str]:
    """Remove the messages, the reactions and the name of an account; yields the media URLs of its messages.

    The account stays a participant, without a name, so that conversations keep their participants. May be repeated.
    Raises `StoreUnavailable`.
    """
    hidden = ProfileUpdated(
        user_id=user_id, username="", display_name="", profile_picture_url=None, updated_at=removed_at, is_hidden=True
    )
    profiles.save(hidden)
    for row in connection.execute(READ_CONVERSATION_IDS, {"user_id": user_id}):
        yield from _remove_from(row["conversation_id"], user_id)


REMOVE_MESSAGE: Final = """
    DELETE FROM messages WHERE conversation_id = :conversation_id AND bucket = :bucket AND message_id = :message_id
"""


def _remove_from(conversation_id: UUID, user_id: UUID) -> Iterator[str]:
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
    if conversation := conversations.read_all([conversation_id]).get(conversation_id):
        connection.execute_all(
            *(
                statement
                for each in conversation.participants
                for statement in _clear_preview_statements(conversation_id, each.user_id, by=user_id)
            )
        )


READ_LAST_SENDER: Final = (
    "SELECT last_sender_id FROM inboxes WHERE user_id = :user_id AND conversation_id = :conversation_id"
)
CLEAR_PREVIEW: Final = (
    "UPDATE inboxes SET last_preview = '' WHERE user_id = :user_id AND conversation_id = :conversation_id"
)


def _clear_preview_statements(conversation_id: UUID, user_id: UUID, *, by: UUID) -> list[Statement]:
    values = {"user_id": user_id, "conversation_id": conversation_id}
    is_shown = any(row["last_sender_id"] == by for row in connection.execute(READ_LAST_SENDER, values))
    return [(CLEAR_PREVIEW, values)] if is_shown else []


def _message_key(conversation_id: UUID, found: PlacedMessage) -> dict[str, object]:
    return {
        "conversation_id": conversation_id,
        "bucket": found.bucket,
        "message_id": found.message.message_id,
    }
