"""The objects of the contract's section 2 and the types of their fields. Python names, camelCase on the wire."""

import re
from typing import Annotated, Literal, NewType
from uuid import UUID

import msgspec

from layers.core import limits, media_links
from layers.core.errors import Invalid, UserNotFound

Time = NewType("Time", Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})])
"""UTC in ISO 8601 with milliseconds and `Z`, as the connection reads timestamps."""

Role = Literal["user", "verified", "admin"]
PostStatus = Literal["processing", "published", "failed"]
Filter = Literal[
    "none", "clarendon", "gingham", "moon", "lark", "reyes", "juno", "slumber", "crema", "ludwig", "aden", "perpetua"
]
FILTERS: tuple[Filter, ...] = Filter.__args__  # type: ignore[attr-defined]

SIZES = {"thumbnail": ("thumbnails", 150), "small": ("small", 320), "medium": ("medium", 640), "large": ("large", 1080)}
"""Rendition: its folder under `processed/` and the longest side in pixels."""

type Caption = Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": limits.CAPTION_LENGTH})]
type Location = Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": limits.LOCATION_LENGTH})]
type DisplayName = Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": limits.DISPLAY_NAME_LENGTH})]
type Bio = Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": limits.BIO_LENGTH})]
# Said of these, checked by `text.bounded`: what counts is their length without markup and white space around them.

_USERNAME = re.compile(r"[a-z0-9_]{3,30}")
RESERVED_NAMES = frozenset({"me", "search"})


class Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A thing as rows give it and answers show it."""


class Session(Shape, frozen=True, kw_only=True):
    """A live sign-in."""

    id: str
    user_id: UUID
    username: str
    role: Role


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
    """A user in a path: an id in UUID form, or a username, lower case."""

    __slots__ = ()

    @classmethod
    def parse(cls, given: str) -> "UserRef":
        """Raises `UserNotFound` for what can be neither."""
        ref = given.lower()
        try:
            return cls(UUID(ref) if len(ref) == 36 else _known_form(ref))  # noqa: PLR2004 (a UUID's text)
        except ValueError:
            raise UserNotFound from None

    @property
    def id(self) -> UUID | None:
        """The id, if it is one."""
        return UUID(self) if len(self) == 36 else None  # noqa: PLR2004


def _known_form(username: str) -> str:
    if not _USERNAME.fullmatch(username):
        raise UserNotFound
    return username


def username(typed: str) -> str:
    """The username as stored; raises `Invalid` for one that cannot be."""
    folded = typed.strip().lower()
    if not _USERNAME.fullmatch(folded):
        raise Invalid.field("username", "3 to 30 of a-z, 0-9 and _")
    if folded in RESERVED_NAMES:
        raise Invalid.field("username", "this name is reserved")
    return folded


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
    """Anybody's account as a viewer sees it."""

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
    """Somebody who asks to follow."""

    requested_at: Time


class StoryViewer(UserCard, frozen=True, kw_only=True):
    """Somebody who saw a story."""

    viewed_at: Time


class Encodings(Shape, frozen=True, kw_only=True):
    """One rendition's two files."""

    jpeg: str
    webp: str


class Renditions(Shape, frozen=True, kw_only=True):
    """URLs of all files of one picture."""

    thumbnail: Encodings
    small: Encodings
    medium: Encodings
    large: Encodings


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
    failure: str | None = None
    """Why it failed; only ever shown to the owner and admins."""


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


class PostThumb(Shape, frozen=True, kw_only=True):
    """A post in a grid."""

    id: UUID
    thumbnail: str
    like_count: int
    comment_count: int
    media_count: int
    created_at: Time


class SavedPost(PostThumb, frozen=True, kw_only=True):
    """A post among those that the caller has saved."""

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
    """A picture that lives 24 h."""

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
    """One entry of the tray."""

    id: UUID
    username: str
    profile_picture_url: str | None
    has_seen: bool
    display_name: str
    story_count: int
    latest_story_time: Time


type GroupName = Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": limits.GROUP_NAME_LENGTH})]
MessageType = Literal["text", "image", "video", "heart", "story_reply"]
ReactionName = Literal["heart", "laugh", "surprised", "sad", "angry", "thumbs_up"]


class Reaction(Shape, frozen=True, kw_only=True):
    """What somebody says of a message by a sign."""

    user_id: UUID
    reaction: ReactionName


class Message(Shape, frozen=True, kw_only=True):
    """A direct message."""

    message_id: UUID
    conversation_id: UUID
    sender_id: UUID
    content: str
    """Empty when there is only media."""
    content_type: MessageType
    media_url: str | None
    reply_to_message_id: UUID | None
    created_at: Time
    reactions: list[Reaction]


class Person(Shape, frozen=True, kw_only=True):
    """Somebody in a conversation."""

    id: UUID
    username: str
    profile_picture: str | None


class Conversation(Shape, frozen=True, kw_only=True):
    """A conversation as its participant's list shows it; the last three members are for groups."""

    conversation_id: UUID
    other_user_id: UUID | None
    """Null in a group."""
    other_username: str
    """In a group its name."""
    other_profile_picture: str | None
    last_message_preview: str
    """The first 100 characters; empty when there is no message yet, or only a picture."""
    last_message_sender_id: UUID | None
    last_message_at: Time
    unread_count: int
    """At most 100: exact below."""
    has_more_unread: bool
    """Whether there are more than 100."""
    is_muted: bool
    is_group: bool
    name: str | None
    members: list[Person]


class Done(Shape, frozen=True, kw_only=True):
    """An action's answer; `idempotent` is true when nothing changed."""

    message: str
    idempotent: bool


class Succeeded(Shape, frozen=True, kw_only=True):
    """An answer that says no more than that it is done."""

    success: bool = True


class Told(Shape, frozen=True, kw_only=True):
    """An answer that only says what happened."""

    message: str


PageLimit = Annotated[int, msgspec.Meta(ge=1)]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The query of every list."""

    cursor: Annotated[str, msgspec.Meta(extra_json_schema={"pattern": "^[A-Za-z0-9._~:-]+$"})] | None = None
    """`nextCursor` of the page before; none for the first page."""
    limit: PageLimit = 20
    """How many to show; above 100 counts as 100."""

    @property
    def size(self) -> int:
        """Rows to show: above 100 counts as 100."""
        return min(self.limit, limits.PAGE)


class GridPage(Page, frozen=True, kw_only=True):
    """The query of a grid of posts: 12 by default."""

    limit: PageLimit = 12


class ExplorePage(Page, frozen=True, kw_only=True):
    """The query of explore: 24 by default."""

    limit: PageLimit = 24


class MessagesPage(msgspec.Struct, frozen=True, kw_only=True):
    """The query of a conversation's messages."""

    before: UUID | None = None
    """A message's id: older ones than this; `nextCursor` of the page before."""
    cursor: UUID | None = None
    """Another name of `before`."""
    limit: PageLimit = 50
    """How many to show; above 100 counts as 100."""


class RepliesPage(Page, frozen=True, kw_only=True):
    """The query of replies: 10 by default."""

    limit: PageLimit = 10


def rendition_key(post_id: UUID, order_index: int, size: str, extension: str) -> str:
    """Where one rendition lies in the bucket."""
    folder, side = SIZES[size]
    item = f"{post_id}-{order_index}" if order_index else str(post_id)
    return f"processed/{folder}/{item}_{side}.{extension}"


def renditions_of(post_id: UUID, order_index: int, *, prefix: str = media_links.POST_MARK) -> Renditions:
    """URLs of a picture's files; with the default prefix they are signed while answering."""
    return Renditions(
        **{
            size: Encodings(
                jpeg=prefix + rendition_key(post_id, order_index, size, "jpg"),
                webp=prefix + rendition_key(post_id, order_index, size, "webp"),
            )
            for size in SIZES
        }
    )


class FollowAnswer(Done, frozen=True, kw_only=True):
    """What following or unfollowing came to."""

    follow_status: Literal["none", "requested", "following"]
