"""Every number that a rule of the contract names: sizes, lengths and rate limits."""

import functools

import msgspec

from layers.core.settings import settings

MIB = 1024 * 1024
FILE_BYTES = 10 * MIB
JSON_BYTES = 100 * 1024
TEXT_PART_BYTES = 64 * 1024
FILE_TYPES = ("image/jpeg", "image/png", "image/webp", "image/heic")
POST_FILES = 10
JPEG_PIXELS = 100_000_000
PIXELS = 64_000_000
"""Of PNG, WebP and HEIC, which cannot be decoded at a fraction of their size."""
PICTURE_SIDE = 65_535
"""The most that JPEG knows; only a PNG made to exhaust memory, row by row, has more."""
CAPTION_LENGTH = 2200
LOCATION_LENGTH = 255
TAGS = 30
TAG_LENGTH = 50
DISPLAY_NAME_LENGTH = 100
BIO_LENGTH = 150
COMMENT_LENGTH = 2200
MESSAGE_LENGTH = 2200
MESSAGE_URL_LENGTH = 500
MESSAGE_PREVIEW = 100
GROUP_LEAST = 3
GROUP_PEOPLE = 32
GROUP_NAME_LENGTH = 100
UNREAD_COUNTED = 100
"""Unread messages are counted up to here."""
TYPING_SECONDS = 5
LIVE_CONNECTIONS = 20
"""Of one account."""
EMAIL_LENGTH = 255
PASSWORD_LENGTH = (6, 128)
PAGE = 100

SESSION_SECONDS = 24 * 60 * 60
STORY_SECONDS = 24 * 60 * 60
STORY_GRACE_SECONDS = 60 * 60
UPLOAD_SECONDS = 15 * 60
"""So long a presigned URL takes its file."""
UPLOAD_USABLE_SECONDS = 45 * 60
"""So long a post may be made of an upload: well before it is removed, which therefore never meets one in use."""
UPLOAD_KEPT_SECONDS = 60 * 60
UPLOADS_WAITING = 100
"""Of one account, for their posts: as many as ten posts, an hour's, can take. Nobody parks more than 1 GiB."""
UNARRIVED_SECONDS = 5 * 60
"""After this long a row whose object never came has failed."""


class Limit(msgspec.Struct, frozen=True):
    """At most `requests` accepted in any span of `seconds`, per user (or address, where `by_address`)."""

    action: str
    requests: int
    seconds: int
    by_address: bool = False
    counts_failures: bool = False
    """Only refused credentials count: the place is given back unless the answer is 401."""
    closed_without_valkey: bool = False
    """Refuse (503) while nothing can be counted."""

    @property
    def configured(self) -> "Limit":
        """This limit as RATE_LIMITS sets it."""
        return _configured(self)


@functools.cache
def _configured(limit: Limit) -> Limit:
    overrides = msgspec.json.decode(settings().rate_limits, type=dict[str, tuple[int, int]])
    requests, seconds = overrides.get(limit.action, (limit.requests, limit.seconds))
    return msgspec.structs.replace(limit, requests=requests, seconds=seconds)


GENERAL = Limit("general", 1000, 60)
LOGIN = Limit("login", 5, 60, by_address=True, counts_failures=True, closed_without_valkey=True)
POST_CREATE = Limit("post_create", 10, 3600)
LIKE = Limit("like", 100, 3600)
COMMENT = Limit("comment", 50, 3600)
FOLLOW = Limit("follow", 30, 3600)
FEED = Limit("feed", 60, 60)
STORY_CREATE = Limit("story_create", 20, 3600)
