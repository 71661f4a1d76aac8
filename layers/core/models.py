"""The JSON objects that several endpoints share (docs/contract/objects.md). Names are camelCase in JSON."""

import re
from typing import Annotated, Final, Literal, NewType
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from layers.core import ids, limits, media_links
from layers.core.errors import Invalid, UserNotFound
from layers.core.text import Pattern, Text

Time = NewType("Time", Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})])
"""A time in UTC, ISO 8601 with milliseconds and `Z`. The connection to PostgreSQL reads timestamps in this format."""

Role = Literal["user", "verified", "admin"]
PostStatus = Literal["processing", "published", "failed"]
Filter = Literal[
    "none", "clarendon", "gingham", "moon", "lark", "reyes", "juno", "slumber", "crema", "ludwig", "aden", "perpetua"
]
FILTERS: tuple[Filter, ...] = Filter.__args__  # type: ignore[attr-defined]

SIZES = {"thumbnail": ("thumbnails", 150), "small": ("small", 320), "medium": ("medium", 640), "large": ("large", 1080)}
"""The renditions of a picture: the folder under `processed/`, and the longest side in pixels (R-M2)."""

Format = Literal["webp", "jpg"]
FORMATS: tuple[Format, ...] = Format.__args__  # type: ignore[attr-defined]
"""The formats of each rendition, as extensions of files."""

type Caption = Annotated[str, Text(at_most=limits.CAPTION_LENGTH)]
type Location = Annotated[str, Text(at_most=limits.LOCATION_LENGTH)]
type DisplayName = Annotated[str, Text(at_most=limits.DISPLAY_NAME_LENGTH)]
type Bio = Annotated[str, Text(at_most=limits.BIO_LENGTH)]
type Tag = Annotated[
    str,
    Pattern(
        regex=rf"\w{{1,{limits.TAG_LENGTH}}}",
        message=f"must be 1 to {limits.TAG_LENGTH} letters, digits or underscores",
    ),
]
type CommentText = Annotated[str, Text(at_least=1, at_most=limits.COMMENT_LENGTH)]
type MessageText = Annotated[str, Text(at_most=limits.MESSAGE_LENGTH, keeps_markup=True)]
type GroupName = Annotated[str, Text(at_least=1, at_most=limits.GROUP_NAME_LENGTH)]

_ID_LENGTH: Final = 36
_USERNAME = re.compile(r"[a-z0-9_]{3,30}")
RESERVED_NAMES = frozenset({"me", "search"})


class Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An object of answers and requests; its fields are the columns that the statements select."""


class Session(Shape, frozen=True, kw_only=True):
    """A session that has not ended."""

    id: str
    user_id: UUID
    username: str
    role: Role


class Revocation(msgspec.Struct, frozen=True):
    """Sessions that must end, one or all of a user; it stays in PostgreSQL until Valkey has applied it."""

    id: UUID
    session_id: str | None = None
    user_id: UUID | None = None
    is_banned: bool = False
    """Whether the user is banned or removed. Feeds and copies hide the account if so, and show it again if not."""


class Viewer(msgspec.Struct, frozen=True):
    """The signed-in caller."""

    id: UUID
    username: str
    role: Role
    session_id: str


class Verified(Viewer, frozen=True):
    """A caller whose role is verified or admin."""


class Admin(Viewer, frozen=True):
    """A caller whose role is admin."""


class UserRef(str):
    """A user in a path: an id or a username, in lower case."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> "UserRef":
        """Read a variable of a path; raises `UserNotFound` for a text that is neither an id nor a username."""
        ref = text.lower()
        try:
            return cls(ids.parse(ref, "user") if len(ref) == _ID_LENGTH else _check_username(ref))
        except Invalid:
            raise UserNotFound from None

    @property
    def id(self) -> UUID | None:
        """The id; None for a username."""
        return UUID(self) if len(self) == _ID_LENGTH else None


def _check_username(username: str) -> str:
    if not _USERNAME.fullmatch(username):
        raise UserNotFound
    return username


def normalize_username(username: str) -> str:
    """The username as it is stored, in lower case; raises `Invalid` for one that is not allowed (R-V2)."""
    normalized = username.strip().lower()
    if not _USERNAME.fullmatch(normalized):
        raise Invalid.field("username", "3 to 30 of a-z, 0-9 and _")
    if normalized in RESERVED_NAMES:
        raise Invalid.field("username", "this name is reserved")
    return normalized


class UserSelf(Shape, frozen=True, kw_only=True):
    """The caller's own account."""

    id: UUID
    username: str
    email: str
    display_name: str
    bio: str | None
    profile_picture_url: str | None
    follower_count: int
    following_count: int
    post_count: int
    is_private: bool
    role: Role
    is_verified: bool
    created_at: Time
    updated_at: Time


class UserProfile(Shape, frozen=True, kw_only=True):
    """An account as a viewer sees it."""

    id: UUID
    username: str
    display_name: str
    bio: str | None
    profile_picture_url: str | None
    follower_count: int
    following_count: int
    post_count: int
    is_private: bool
    is_verified: bool
    created_at: Time
    is_following: bool = False
    follow_status: Literal["none", "requested", "following"] = "none"


class UserCard(Shape, frozen=True, kw_only=True):
    """A user in a list."""

    id: UUID
    username: str
    display_name: str
    profile_picture_url: str | None
    is_verified: bool


class Requester(UserCard, frozen=True, kw_only=True):
    """A user who has asked to follow the caller."""

    requested_at: Time


class StoryViewer(UserCard, frozen=True, kw_only=True):
    """A user who has viewed a story."""

    viewed_at: Time


class Renditions(Shape, frozen=True, kw_only=True):
    """The files of a processed picture, in each size and format."""

    url: str
    """A URI template (RFC 6570) with the variables `size` and `format`: one each of `sizes` and `formats`."""
    sizes: tuple[int, ...] = tuple(side for _, side in SIZES.values())
    """The sizes in pixels: a rendition fits inside the square of this side."""
    formats: tuple[Format, ...] = FORMATS


class PictureLinks(Shape, frozen=True, kw_only=True):
    """The URLs of a processed picture."""

    media_url: str
    thumbnail_url: str
    renditions: Renditions


class Media(Shape, frozen=True, kw_only=True):
    """One picture of a post; URLs are null until it is processed."""

    id: UUID
    media_type: Literal["image"] = "image"
    media_url: str | None
    thumbnail_url: str | None
    renditions: Renditions | None
    filter_applied: Filter
    width: int | None
    height: int | None
    order_index: int
    status: PostStatus
    failure: str | UnsetType = UNSET
    """Why it failed; left out if it has not. Only the owner and admins see pictures that have failed."""


class Post(Shape, frozen=True, kw_only=True):
    """A post with its pictures."""

    id: UUID
    user_id: UUID
    username: str
    display_name: str
    profile_picture_url: str | None
    caption: str
    location: str | None
    tags: list[str]
    status: PostStatus
    like_count: int
    comment_count: int
    created_at: Time
    is_liked: bool = False
    is_saved: bool = False
    media: list[Media]


class PostCounts(msgspec.Struct, frozen=True):
    """The counts of a post after a change, with the version of its row; a higher version is newer."""

    post_id: UUID
    version: int
    like_count: int
    comment_count: int


class PostThumb(Shape, frozen=True, kw_only=True):
    """A post in a grid of pictures."""

    id: UUID
    thumbnail: str
    like_count: int
    comment_count: int
    media_count: int
    created_at: Time


class SavedPost(PostThumb, frozen=True, kw_only=True):
    """A post that the caller has saved."""

    saved_at: Time


class Comment(Shape, frozen=True, kw_only=True):
    """A comment, or a reply to one."""

    id: UUID
    user_id: UUID
    username: str
    display_name: str
    profile_picture_url: str | None
    content: str
    parent_comment_id: UUID | None
    like_count: int
    is_liked: bool = False
    reply_count: int
    created_at: Time


class Story(Shape, frozen=True, kw_only=True):
    """A picture that is shown for 24 h."""

    id: UUID
    user_id: UUID
    media_url: str
    media_type: Literal["image"] = "image"
    thumbnail_url: str | None
    filter_applied: Filter
    view_count: int
    has_viewed: bool
    created_at: Time
    expires_at: Time


class StoryUser(Shape, frozen=True, kw_only=True):
    """An entry of the tray: an account with active stories."""

    id: UUID
    username: str
    profile_picture_url: str | None
    has_seen: bool
    display_name: str
    story_count: int
    latest_story_time: Time


MessageType = Literal["text", "image", "video", "heart", "story_reply"]
ReactionName = Literal["heart", "laugh", "surprised", "sad", "angry", "thumbs_up"]


class Reaction(Shape, frozen=True, kw_only=True):
    """A reaction of a participant to a message."""

    user_id: UUID
    reaction: ReactionName


class Message(Shape, frozen=True, kw_only=True):
    """A direct message."""

    message_id: UUID
    conversation_id: UUID
    sender_id: UUID
    content: str
    """Empty when the message is a picture without a text."""
    content_type: MessageType
    media_url: str | None
    reply_to_message_id: UUID | None
    created_at: Time
    reactions: list[Reaction]


class Person(Shape, frozen=True, kw_only=True):
    """A participant of a conversation."""

    id: UUID
    username: str
    profile_picture: str | None


class Conversation(Shape, frozen=True, kw_only=True):
    """A conversation in a participant's list; `isGroup`, `name` and `members` are for groups."""

    conversation_id: UUID
    other_user_id: UUID | None
    """Null in a group."""
    other_username: str
    """In a group, the name of the group."""
    other_profile_picture: str | None
    last_message_preview: str
    """The first 100 characters of the last message; empty when there is no message or it has no text."""
    last_message_sender_id: UUID | None
    last_message_at: Time
    unread_count: int
    """The number of unread messages, exact up to 100."""
    has_more_unread: bool
    """Whether more than 100 messages are unread."""
    is_muted: bool
    is_group: bool
    name: str | None
    members: list[Person]


class Done(Shape, frozen=True, kw_only=True):
    """The answer to an action; `idempotent` is true when the request changed nothing, because it was so before."""

    message: str
    idempotent: bool


class Succeeded(Shape, frozen=True, kw_only=True):
    """The answer to an action that has succeeded."""

    success: bool = True


class Confirmation(Shape, frozen=True, kw_only=True):
    """An answer that has only a message for users."""

    message: str


PageLimit = Annotated[int, msgspec.Meta(ge=1)]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The query of a list: one page."""

    cursor: Annotated[str, msgspec.Meta(extra_json_schema={"pattern": "^[A-Za-z0-9._~:-]+$"})] | None = None
    """`nextCursor` of the previous page; none for the first page."""
    limit: PageLimit = 20
    """The number of entries; more than 100 counts as 100."""

    @property
    def size(self) -> int:
        """The number of entries on the page, at most 100."""
        return min(self.limit, limits.PAGE_ROWS)


class GridPage(Page, frozen=True, kw_only=True):
    """The query of a grid of posts, 12 by default."""

    limit: PageLimit = 12


class ExplorePage(Page, frozen=True, kw_only=True):
    """The query of explore, 24 posts by default."""

    limit: PageLimit = 24


class MessagesPage(msgspec.Struct, frozen=True, kw_only=True):
    """The query of the messages of a conversation."""

    before: UUID | None = None
    """The id of a message: list older messages than this one. `nextCursor` of the previous page."""
    cursor: UUID | None = None
    """Another name of `before`."""
    limit: PageLimit = 50
    """The number of messages; more than 100 counts as 100."""


class RepliesPage(Page, frozen=True, kw_only=True):
    """The query of the replies to a comment, 10 by default."""

    limit: PageLimit = 10


def rendition_key(post_id: UUID, order_index: int, size: str, extension: str) -> str:
    """The key of one rendition in the bucket."""
    folder, side = SIZES[size]
    return f"processed/{folder}/{_file_name(post_id, order_index)}_{side}.{extension}"


def links_of(post_id: UUID, order_index: int) -> PictureLinks:
    """The URLs of a picture's renditions, which are signed while answering."""
    url = media_links.POST_MARK + _file_name(post_id, order_index)
    return PictureLinks(
        media_url=f"{url}_{SIZES['large'][1]}.jpg",
        thumbnail_url=f"{url}_{SIZES['thumbnail'][1]}.jpg",
        renditions=Renditions(url=url + "_{size}.{format}"),
    )


def _file_name(post_id: UUID, order_index: int) -> str:
    return f"{post_id}-{order_index}" if order_index else str(post_id)


class FollowAnswer(Done, frozen=True, kw_only=True):
    """The result of following or unfollowing."""

    follow_status: Literal["none", "requested", "following"]
