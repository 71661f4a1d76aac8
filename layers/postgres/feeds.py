"""Posts of home feeds, and the ids from which timelines are built."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from psycopg.rows import args_row

from layers.core import media_links
from layers.core.feed_posts import FeedEntry, FeedSources, FragmentBody, FragmentPicture
from layers.core.models import Viewer
from layers.core.settings import settings
from layers.postgres.columns import POST
from layers.postgres.connection import Connection
from layers.postgres.post_rows import PictureColumns, PostRow

_TIMELINE_POSTS: Final = 100
_AUTHOR_POSTS: Final = 21
"""The number of posts in a new timeline, and the number of one author. Older posts are read with `read_page`."""

_ID_BYTES: Final = 16

READ_SOURCES: Final = """
    WITH followed AS (
        SELECT u.id
          FROM follows f JOIN users u ON u.id = f.following_id
         WHERE f.follower_id = %(viewer_id)s AND u.banned_at IS NULL
        UNION ALL
        SELECT %(viewer_id)s
    ), newest AS (
        SELECT post.id, followed.id AS author_id
          FROM followed, LATERAL (
                SELECT id FROM posts
                 WHERE user_id = followed.id AND status = 'published'
                 ORDER BY id DESC LIMIT %(of_each)s
          ) AS post
         ORDER BY post.id DESC LIMIT %(at_most)s
    ), numbered AS (
        SELECT id, row_number() OVER (PARTITION BY author_id ORDER BY id DESC) AS number FROM newest
    ), cut AS (
        SELECT id FROM numbered WHERE number = %(of_each)s ORDER BY id DESC LIMIT 1
    )
    SELECT (SELECT string_agg(uuid_send(id), '') FROM followed),
           (SELECT string_agg(uuid_send(id), '' ORDER BY id DESC) FROM newest
             WHERE id >= coalesce((SELECT id FROM cut), '00000000-0000-0000-0000-000000000000')),
           EXISTS (SELECT FROM cut)
"""
# At most as many posts of each author as a page needs. If an author has more, the timeline ends at the last one read.


def read_sources(db: Connection, *, viewer_id: UUID) -> FeedSources:
    """The accounts that the viewer follows, except banned ones, and their newest posts: one to five pages."""
    values = {"viewer_id": viewer_id, "at_most": _TIMELINE_POSTS + 1, "of_each": _AUTHOR_POSTS}
    row = db.execute(READ_SOURCES, values).fetchone() or (b"", None, False)
    followed, newest, is_cut = row
    posts, length = newest or b"", _TIMELINE_POSTS * _ID_BYTES
    return FeedSources(followed=followed, posts=posts[:length], has_older=is_cut or len(posts) > length)


READ_POSTS: Final = f"""
    SELECT {POST}
      FROM posts p JOIN users u ON u.id = p.user_id
     WHERE p.id = ANY(%(post_ids)s) AND p.status = 'published' AND u.banned_at IS NULL
       AND (p.user_id = %(viewer_id)s
            OR EXISTS (SELECT FROM follows f WHERE f.follower_id = %(viewer_id)s AND f.following_id = p.user_id))
"""
# Followers may view an account, and feeds show no other accounts: so only bans and the status have to be checked.


def read_posts(db: Connection, *, viewer: Viewer, post_ids: Sequence[bytes]) -> list[FeedEntry]:
    """Those of the posts that the viewer's feed may show, in no order."""
    values = {"viewer_id": viewer.id, "post_ids": [UUID(bytes=post_id) for post_id in post_ids]}
    return _fetch(db, READ_POSTS, values)


READ_PAGE: Final = f"""
    WITH followed AS (
        SELECT u.id
          FROM follows f JOIN users u ON u.id = f.following_id
         WHERE f.follower_id = %(viewer_id)s AND u.banned_at IS NULL
        UNION ALL
        SELECT %(viewer_id)s
    ), newest AS (
        SELECT post.id
          FROM followed, LATERAL (
                SELECT id FROM posts
                 WHERE user_id = followed.id AND status = 'published'
                   AND (%(before)s::uuid IS NULL OR id < %(before)s)
                 ORDER BY id DESC LIMIT %(at_most)s
          ) AS post
         ORDER BY post.id DESC LIMIT %(at_most)s
    )
    SELECT {POST}
      FROM newest JOIN posts p ON p.id = newest.id JOIN users u ON u.id = p.user_id
     ORDER BY p.id DESC
"""


def read_page(db: Connection, *, viewer: Viewer, before: bytes | None, at_most: int) -> list[FeedEntry]:
    """The posts of the feed before this id, newest first."""
    values = {"viewer_id": viewer.id, "before": UUID(bytes=before) if before else None, "at_most": at_most}
    return _fetch(db, READ_PAGE, values)


READ_FOLLOWER_COUNT: Final = "SELECT follower_count FROM users WHERE id = %(author_id)s"


def has_many_followers(db: Connection, *, author_id: UUID) -> bool:
    """Whether the author has at least `STAR_FOLLOWERS` followers, so posts are merged at read and not fanned out."""
    row = db.execute(READ_FOLLOWER_COUNT, {"author_id": author_id}).fetchone()
    return row is not None and row[0] >= settings().star_followers


def _fetch(db: Connection, statement: str, values: Mapping[str, object]) -> list[FeedEntry]:
    with db.cursor(row_factory=args_row(PostRow)) as cursor:
        return [_entry(row) for row in cursor.execute(statement, values)]


def _entry(row: PostRow) -> FeedEntry:
    body = FragmentBody(
        id=row.id,
        user_id=row.user_id,
        username=row.username,
        display_name=row.display_name,
        profile_picture_url=row.profile_picture_url,
        caption=row.caption,
        location=row.location,
        tags=row.tags,
        status=row.status,
        created_at=row.created_at,
        media=[_picture(columns) for columns in row.pictures],
    )
    return FeedEntry(
        post_id=row.id.bytes,
        body=body.encode(),
        like_count=row.like_count,
        comment_count=row.comment_count,
        is_liked=row.is_liked,
        is_saved=row.is_saved,
        author_id=row.user_id.bytes,
        version=row.version,
    )


def _picture(columns: PictureColumns) -> FragmentPicture:
    media_id, filter_, width, height, order_index, status, _ = columns
    return FragmentPicture(
        id=media_id,
        filter_applied=filter_,
        width=width,
        height=height,
        order_index=order_index,
        status=status,
        files=f"{media_links.POST_MARK}{order_index}",
    )
