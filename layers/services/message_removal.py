"""Removing what an account has written in conversations (R-B3)."""

from collections.abc import Iterator
from uuid import UUID

from layers.cassandra import conversations, removals
from layers.core.events import ProfileUpdated
from layers.core.models import Time
from layers.services import conversation_changes, profile_copies


def remove_account(user_id: UUID, *, removed_at: Time) -> Iterator[str]:
    """Remove the messages, the reactions and the name of an account; yields the media URLs of its messages.

    The account stays a participant, without a name, so that conversations keep their participants. May be repeated.
    Raises `StoreUnavailable`.
    """
    hidden = ProfileUpdated(
        user_id=user_id, username="", display_name="", profile_picture_url=None, updated_at=removed_at, is_hidden=True
    )
    profile_copies.save(hidden)
    for conversation_id in removals.read_conversation_ids(user_id):
        conversation = conversations.read_all([conversation_id]).get(conversation_id)
        with conversation_changes.remove_messages(conversation_id, conversation.member_ids if conversation else ()):
            yield from removals.remove_from(conversation_id, user_id=user_id)
