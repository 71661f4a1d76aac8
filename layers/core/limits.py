"""Every number that a rule of the contract names: sizes, lengths, times and rate limits (docs/contract)."""

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
"""Of PNG, WebP and HEIC, which cannot be decoded at a fraction of their size (R-M8)."""
PICTURE_SIDE = 65_535
"""The largest side that JPEG allows. Only a PNG made to exhaust memory would have a longer one."""
CAPTION_LENGTH = 2200
LOCATION_LENGTH = 255
TAGS = 30
TAG_LENGTH = 50
DISPLAY_NAME_LENGTH = 100
BIO_LENGTH = 150
COMMENT_LENGTH = 2200
MESSAGE_LENGTH = 2200
MESSAGE_URL_LENGTH = 500
MESSAGE_PREVIEW_LENGTH = 100
GROUP_MIN_MEMBERS = 3
GROUP_MAX_MEMBERS = 32
GROUP_NAME_LENGTH = 100
UNREAD_MAX = 100
"""Unread messages are counted up to this number."""
TYPING_SECONDS = 5
LIVE_CONNECTIONS = 20
"""Of one account (R-E1)."""
EMAIL_LENGTH = 255
PASSWORD_LENGTH = (6, 128)
PAGE_ROWS = 100

SESSION_SECONDS = 24 * 60 * 60
STORY_SECONDS = 24 * 60 * 60
STORY_GRACE_SECONDS = 60 * 60
UPLOAD_SECONDS = 15 * 60
"""How long a presigned URL accepts its file."""
UPLOAD_USABLE_SECONDS = 45 * 60
"""How long a post can be made from an upload. It ends before the upload is removed, so no upload in use is removed."""
UPLOAD_LIFETIME_SECONDS = 60 * 60
UNUSED_UPLOADS = 100
"""Uploads of one account without a post: as many as the ten posts of an hour can use, and at most 1 GiB."""
MISSING_FILE_SECONDS = 5 * 60
"""A post whose file has not arrived after this time fails."""


class Limit(msgspec.Struct, frozen=True):
    """At most `requests` are accepted in any span of `seconds` (R-L2), per user, or per address with `by_address`."""

    action: str
    requests: int
    seconds: int
    by_address: bool = False
    counts_failures: bool = False
    """Count refused credentials only: a request is un-counted unless its answer is 401 (R-L4)."""
    closed_without_valkey: bool = False
    """Answer 503 while Valkey is unavailable and requests cannot be counted (R-L7)."""

    @property
    def configured(self) -> "Limit":
        """This limit with the values of the setting RATE_LIMITS."""
        return _configured(self)


@functools.cache
def _configured(limit: Limit) -> Limit:
    requests, seconds = read_overrides(settings().rate_limits).get(limit.action, (limit.requests, limit.seconds))
    return msgspec.structs.replace(limit, requests=requests, seconds=seconds)


def read_overrides(text: str) -> dict[str, tuple[int, int]]:
    """The setting RATE_LIMITS, action to requests and seconds; raises `ValueError` for what it cannot contain."""
    overrides = msgspec.json.decode(text, type=dict[str, tuple[int, int]])
    known = {limit.action for limit in (LOGIN, *OF_ACCOUNTS)}
    if unknown := sorted(overrides.keys() - known):
        raise ValueError(f"there is no limit {unknown[0]!r}; limits: {', '.join(sorted(known))}")
    return overrides


GENERAL = Limit("general", 1000, 60)
LOGIN = Limit("login", 5, 60, by_address=True, counts_failures=True, closed_without_valkey=True)
POST_CREATE = Limit("post_create", 10, 3600)
LIKE = Limit("like", 100, 3600)
COMMENT = Limit("comment", 50, 3600)
FOLLOW = Limit("follow", 30, 3600)
FEED = Limit("feed", 60, 60)
STORY_CREATE = Limit("story_create", 20, 3600)

OF_ACCOUNTS = (GENERAL, POST_CREATE, LIKE, COMMENT, FOLLOW, FEED, STORY_CREATE)
"""The limits that are counted by user."""
