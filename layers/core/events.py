"""Events that follow a commit: stored in the outbox in the same transaction, then published to their queue."""

from typing import ClassVar, Final, Self
from uuid import UUID

import msgspec

from layers.core.models import Time, UserSelf


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that has happened; `queue` is the queue that it is published to."""

    queue: ClassVar[str]


class PostPublished(Event, frozen=True, kw_only=True):
    """A post was published: all renditions of its pictures are stored."""

    queue: ClassVar[str] = "post-published"
    post_id: UUID
    author_id: UUID


class ProfileUpdated(Event, frozen=True, kw_only=True):
    """An account was created, or its name, picture or visibility has changed."""

    queue: ClassVar[str] = "profile-updated"
    user_id: UUID
    username: str
    display_name: str
    profile_picture_url: str | None
    updated_at: Time
    """Orders the events of an account: an older event never overwrites a newer one."""
    is_hidden: bool = False
    """Whether the account is banned or removed."""

    @classmethod
    def of(cls, user: UserSelf) -> Self:
        """The event for the present state of this account."""
        return cls(
            user_id=user.id,
            username=user.username,
            display_name=user.display_name,
            profile_picture_url=user.profile_picture_url,
            updated_at=user.updated_at,
        )


class AccountRemoved(Event, frozen=True, kw_only=True):
    """An account was removed: its messages must be removed too."""

    queue: ClassVar[str] = "account-removed"
    user_id: UUID
    removed_at: Time


PHOTO_UPLOADED: Final = "photo-uploaded"
"""The queue to which the object store publishes a notification when an original file has been stored."""

QUEUES: Final = (PHOTO_UPLOADED, PostPublished.queue, ProfileUpdated.queue, AccountRemoved.queue)
"""All queues that functions read; each has its dead letters in `{queue}.dead`."""


class OutboxEvent(msgspec.Struct, frozen=True):
    """An event in the outbox, which is there until it is published."""

    id: UUID
    queue: str
    body: bytes
    trace_id: str | None
