"""Data for admins: all accounts and all posts in any state, and the numbers of rows."""

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from layers.core.models import PostStatus, Role, Shape, Time
from layers.core.pages import Row, Window
from layers.postgres.connection import Connection, list_row

AccountStatus = Literal["active", "banned"]
AnyPostStatus = Literal[PostStatus, "deleted"]


class Account(Shape, frozen=True, kw_only=True):
    """An account as admins see it."""

    id: UUID
    username: str
    email: str
    display_name: str
    profile_picture_url: str | None
    role: Role
    is_private: bool
    status: AccountStatus
    follower_count: int
    following_count: int
    post_count: int
    created_at: Time
    banned_at: Time | None


class AccountFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions on accounts; None means any."""

    part: str | None
    """A part of the username, the e-mail address or the display name, in any case."""
    role: Role | None
    status: AccountStatus | None


LIST_ACCOUNTS: Final = """
    SELECT u.id AS key, u.id, u.username, u.email, u.display_name, u.profile_picture_url, u.role, u.is_private,
           CASE WHEN u.banned_at IS NULL THEN 'active' ELSE 'banned' END AS status,
           u.follower_count, u.following_count, u.post_count, u.created_at, u.banned_at
      FROM users u
     WHERE u.id < %(after_id)s
       AND (%(role)s::text IS NULL OR u.role = %(role)s)
       AND (%(status)s::text IS NULL OR (u.banned_at IS NOT NULL) = (%(status)s = 'banned'))
       AND (%(part)s::text IS NULL
            OR u.username ILIKE containing(%(part)s)
            OR u.email ILIKE containing(%(part)s)
            OR u.display_name ILIKE containing(%(part)s))
     ORDER BY u.id DESC LIMIT %(at_most)s
"""


def list_accounts(db: Connection, *, conditions: AccountFilter, window: Window[tuple[UUID]]) -> list[Row[Account]]:
    """The accounts that meet the conditions, including banned ones, newest first."""
    values = {**msgspec.structs.asdict(conditions), "after_id": window.after[0], "at_most": window.at_most}
    with db.cursor(row_factory=list_row(Account, keys=1)) as cursor:
        return cursor.execute(LIST_ACCOUNTS, values).fetchall()


class AnyPost(Shape, frozen=True, kw_only=True):
    """A post as admins see it, in any state."""

    id: UUID
    user_id: UUID
    username: str
    caption: str
    location: str | None
    status: AnyPostStatus
    like_count: int
    comment_count: int
    media_count: int
    thumbnail: str | None
    """The small rendition of the first picture; null unless the post is published."""
    created_at: Time
    updated_at: Time


class PostFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions on posts; None means any."""

    status: AnyPostStatus | None
    user_id: UUID | None
    part: str | None
    """A part of the caption, in any case."""
    since: datetime | None
    """Created at this time or later."""
    before: datetime | None
    """Created before this time."""


LIST_POSTS: Final = """
    SELECT p.id AS key, p.id, p.user_id, u.username, p.caption, p.location, p.status, p.like_count, p.comment_count,
           p.media_count, p.thumbnail, p.created_at, p.updated_at
      FROM posts p JOIN users u ON u.id = p.user_id
     WHERE p.id < %(after_id)s
       AND (%(status)s::text IS NULL OR p.status = %(status)s)
       AND (%(user_id)s::uuid IS NULL OR p.user_id = %(user_id)s)
       AND (%(part)s::text IS NULL OR p.caption ILIKE containing(%(part)s))
       AND (%(since)s::timestamptz IS NULL OR p.created_at >= %(since)s)
       AND (%(before)s::timestamptz IS NULL OR p.created_at < %(before)s)
     ORDER BY p.id DESC LIMIT %(at_most)s
"""


def list_posts(db: Connection, *, conditions: PostFilter, window: Window[tuple[UUID]]) -> list[Row[AnyPost]]:
    """The posts that meet the conditions, including deleted ones, newest first."""
    values = {**msgspec.structs.asdict(conditions), "after_id": window.after[0], "at_most": window.at_most}
    with db.cursor(row_factory=list_row(AnyPost, keys=1)) as cursor:
        return cursor.execute(LIST_POSTS, values).fetchall()


class UserTotals(Shape, frozen=True, kw_only=True):
    """Numbers of accounts."""

    total: int | None = None
    active: int | None = None
    banned: int | None = None
    created_last_24h: int | None = msgspec.field(name="createdLast24h", default=None)


class PostTotals(Shape, frozen=True, kw_only=True):
    """Numbers of posts by status; `total` includes deleted posts whose rows still exist."""

    total: int | None = None
    processing: int | None = None
    published: int | None = None
    failed: int | None = None
    deleted: int | None = None
    created_last_24h: int | None = msgspec.field(name="createdLast24h", default=None)


class ActiveCount(Shape, frozen=True, kw_only=True):
    """The number of active rows."""

    active: int | None = None


class TotalCount(Shape, frozen=True, kw_only=True):
    """The number of all rows."""

    total: int | None = None


class RowCounts(Shape, frozen=True, kw_only=True):
    """Numbers of rows; null means unknown."""

    users: UserTotals = UserTotals()
    posts: PostTotals = PostTotals()
    stories: ActiveCount = ActiveCount()
    comments: TotalCount = TotalCount()
    likes: TotalCount = TotalCount()
    follows: TotalCount = TotalCount()
    sessions: ActiveCount = ActiveCount()


COUNT_ROWS: Final = """
    SELECT json_build_object(
        'users', (SELECT json_build_object(
                'total', count(*),
                'active', count(*) FILTER (WHERE banned_at IS NULL),
                'banned', count(*) FILTER (WHERE banned_at IS NOT NULL),
                'createdLast24h', count(*) FILTER (WHERE created_at > now() - interval '24 h')) FROM users),
        'posts', (SELECT json_build_object(
                'total', count(*),
                'processing', count(*) FILTER (WHERE status = 'processing'),
                'published', count(*) FILTER (WHERE status = 'published'),
                'failed', count(*) FILTER (WHERE status = 'failed'),
                'deleted', count(*) FILTER (WHERE status = 'deleted'),
                'createdLast24h', count(*) FILTER (WHERE created_at > now() - interval '24 h')) FROM posts),
        'stories', (SELECT json_build_object('active', count(*)) FROM stories WHERE expires_at > now()),
        'comments', (SELECT json_build_object('total', count(*)) FROM comments),
        'likes', (SELECT json_build_object('total', count(*)) FROM likes),
        'follows', (SELECT json_build_object('total', count(*)) FROM follows),
        'sessions', (SELECT json_build_object('active', count(*)) FROM sessions WHERE expires_at > now()))::text
"""


def count_rows(db: Connection) -> RowCounts:
    """Count all rows in one statement."""
    row = db.execute(COUNT_ROWS).fetchone()
    return msgspec.json.decode(row[0], type=RowCounts) if row else RowCounts()
