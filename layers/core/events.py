"""What follows a commit: events, kept as outbox rows and published to the queue of their kind."""

from typing import ClassVar, Final, Self
from uuid import UUID

import msgspec

from layers.core.models import Time, UserSelf


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that others act on; `queue` is where it goes."""

    queue: ClassVar[str]


class PostPublished(Event, frozen=True, kw_only=True):
    """All renditions of a post are stored: followers' timelines may show it."""

    queue: ClassVar[str] = "post-published"
    post_id: UUID
    author_id: UUID


class ProfileUpdated(Event, frozen=True, kw_only=True):
    """An account was made or changed what others see of it."""

    queue: ClassVar[str] = "profile-updated"
    user_id: UUID
    username: str
    display_name: str
    profile_picture_url: str | None
    updated_at: Time
    """An older event never overwrites a newer one."""
    is_hidden: bool = False
    """Whether the account was banned or removed."""

    @classmethod
    def of(cls, user: UserSelf) -> Self:
        """What others see of this account, as it is now."""
        return cls(
            user_id=user.id,
            username=user.username,
            display_name=user.display_name,
            profile_picture_url=user.profile_picture_url,
            updated_at=user.updated_at,
        )


class AccountRemoved(Event, frozen=True, kw_only=True):
    """An account is gone: so is what it has written to others."""

    queue: ClassVar[str] = "account-removed"
    user_id: UUID
    removed_at: Time


PHOTO_UPLOADED: Final = "photo-uploaded"
"""The queue that the object store itself writes to: an original has come."""

QUEUES: Final = (PHOTO_UPLOADED, PostPublished.queue, ProfileUpdated.queue, AccountRemoved.queue)
"""All queues that functions read; each has its dead letters in `{queue}.dead`."""


class Note(msgspec.Struct, frozen=True):
    """An event as it waits in the outbox."""

    id: UUID
    queue: str
    body: bytes
    trace_id: str | None
