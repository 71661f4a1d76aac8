"""Posts of home feeds, and the ids from which timelines are built."""

import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from layers.core import media_links
from layers.core.feed_posts import FeedEntry, FeedMark, FeedSources, FragmentBody, FragmentPicture
from layers.core.models import Viewer
from layers.core.settings import settings
from layers.postgres.columns import POST
from layers.postgres.connection import Connection
from layers.postgres.post_rows import PictureColumns, PostRow
from layers.postgres.rows import args_row

_TIMELINE_POSTS: Final = 100
_AUTHOR_POSTS: Final = 21
"""The number of posts in a new timeline, and the number of one author. Older posts are read with `read_page`."""

_ID_BYTES: Final = 16
_MARK: Final = struct.Struct(">16sQ??")
_AFTER_ALL: Final = UUID(int=(1 << 128) - 1)

READ_SOURCES: Final = """
    WITH followed AS MATERIALIZED (
        SELECT f.following_id AS id
          FROM follows f
         WHERE f.follower_id = %(viewer_id)s
           AND NOT EXISTS (SELECT FROM users u WHERE u.id = f.following_id AND u.banned_at IS NOT NULL OFFSET 0)
         UNION ALL
        SELECT %(viewer_id)s
    ), recent AS MATERIALIZED (
        SELECT p.id
          FROM (SELECT id, user_id FROM posts
                 WHERE status = 'published'
                 ORDER BY id DESC
                 LIMIT (SELECT CASE WHEN following_count >= 1000 THEN following_count / 4 ELSE 0 END
                          FROM users WHERE id = %(viewer_id)s)) AS p
         WHERE (p.user_id = %(viewer_id)s
                OR EXISTS (SELECT FROM follows f
                            WHERE f.follower_id = %(viewer_id)s AND f.following_id = p.user_id OFFSET 0))
           AND NOT EXISTS (SELECT FROM users u WHERE u.id = p.user_id AND u.banned_at IS NOT NULL OFFSET 0)
         LIMIT 101
    ), of_authors AS MATERIALIZED (
        SELECT post.id, followed.id AS author_id
          FROM followed CROSS JOIN LATERAL (
                SELECT id FROM posts
                 WHERE user_id = followed.id AND status = 'published'
                 ORDER BY id DESC LIMIT 21
          ) AS post
         WHERE (SELECT count(*) FROM recent) < 101
         ORDER BY post.id DESC LIMIT 101
    ), page AS (
        SELECT id FROM recent WHERE (SELECT count(*) FROM recent) = 101
         UNION ALL
        SELECT id FROM of_authors
         ORDER BY id DESC LIMIT 21
    )
    SELECT (SELECT string_agg(uuid_send(id), '') FROM followed),
           (SELECT string_agg(uuid_send(id), '' ORDER BY id DESC) FROM recent),
           (SELECT string_agg(uuid_send(id), '' ORDER BY id DESC) FROM of_authors),
           (SELECT string_agg(uuid_send(author_id), '' ORDER BY id DESC) FROM of_authors),
           (SELECT string_agg(uuid_send(p.id) || int8send(p.version)
                              || boolsend(EXISTS (SELECT FROM likes l
                                                   WHERE l.user_id = %(viewer_id)s AND l.post_id = p.id))
                              || boolsend(EXISTS (SELECT FROM saves s
                                                   WHERE s.user_id = %(viewer_id)s AND s.post_id = p.id)), '')
              FROM page JOIN posts p ON p.id = page.id)
"""
# Who follows many accounts finds enough posts among the newest of all; otherwise posts are read author by author, of
# each as many as a page needs. With OFFSET 0, each account is looked up among the banned and the followed ones; a join
# would read all of these. The numbers are no parameters, since PostgreSQL plans a statement anew each time if that
# seems cheaper with the present values.


def read_sources(db: Connection, *, viewer_id: UUID) -> FeedSources:
    """The accounts that the viewer follows, except banned ones, and their newest posts: one to five pages.

    With the marks of the first page, its posts need not be read if Valkey has them for other viewers.
    """
    with db.cursor(binary=True) as cursor:
        row = cursor.execute(READ_SOURCES, {"viewer_id": viewer_id}).fetchone()
    followed, recent, of_authors, authors, page = row or (b"", None, None, None, None)
    marks = [FeedMark(*columns) for columns in _MARK.iter_unpack(page or b"")]
    length = _TIMELINE_POSTS * _ID_BYTES
    if recent and len(recent) > length:
        return FeedSources(followed=followed, posts=recent[:length], has_older=True, marks=marks)
    posts, cut_at = of_authors or b"", _find_cut(authors or b"")
    has_older = cut_at is not None or len(posts) > length
    shown = posts[: min(cut_at or length, length)]
    return FeedSources(followed=followed, posts=shown, has_older=has_older, marks=marks)


def _find_cut(authors: bytes) -> int | None:
    """Where the list of posts with these authors must end, in bytes: at the last post that was read of an author.

    Of that author there may be older posts that belong into the list. None if all posts of all authors were read.
    """
    counts: Counter[bytes] = Counter()
    for start in range(0, len(authors), _ID_BYTES):
        author_id = authors[start : start + _ID_BYTES]
        counts[author_id] += 1
        if counts[author_id] == _AUTHOR_POSTS:
            return start + _ID_BYTES
    return None


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
    WITH recent AS MATERIALIZED (
        SELECT found.id
          FROM (SELECT p.id
                  FROM (SELECT id, user_id FROM posts
                         WHERE status = 'published' AND id < %(before)s
                         ORDER BY id DESC
                         LIMIT (SELECT CASE WHEN following_count >= 1000 THEN following_count / 4 ELSE 0 END
                                  FROM users WHERE id = %(viewer_id)s)) AS p
                 WHERE (p.user_id = %(viewer_id)s
                        OR EXISTS (SELECT FROM follows f
                                    WHERE f.follower_id = %(viewer_id)s AND f.following_id = p.user_id OFFSET 0))
                   AND NOT EXISTS (SELECT FROM users u WHERE u.id = p.user_id AND u.banned_at IS NOT NULL OFFSET 0)
                 LIMIT 101) AS found
         LIMIT %(at_most)s
    ), of_authors AS MATERIALIZED (
        SELECT post.id
          FROM (SELECT f.following_id AS id
                  FROM follows f
                 WHERE f.follower_id = %(viewer_id)s
                   AND NOT EXISTS (SELECT FROM users u
                                    WHERE u.id = f.following_id AND u.banned_at IS NOT NULL OFFSET 0)
                 UNION ALL
                SELECT %(viewer_id)s) AS followed
         CROSS JOIN LATERAL (
                SELECT id FROM posts
                 WHERE user_id = followed.id AND status = 'published' AND id < %(before)s
                 ORDER BY id DESC LIMIT %(at_most)s
          ) AS post
         WHERE (SELECT count(*) FROM recent) < %(at_most)s
         ORDER BY post.id DESC LIMIT %(at_most)s
    ), newest AS (
        SELECT id FROM recent WHERE (SELECT count(*) FROM recent) = %(at_most)s
         UNION ALL
        SELECT id FROM of_authors
    )
    SELECT {POST}
      FROM newest JOIN posts p ON p.id = newest.id JOIN users u ON u.id = p.user_id
     ORDER BY p.id DESC
"""
# In the two ways of `READ_SOURCES`.


def read_page(db: Connection, *, viewer: Viewer, before: bytes | None, at_most: int) -> list[FeedEntry]:
    """The posts of the feed before this id, newest first."""
    values = {
        "viewer_id": viewer.id,
        "before": UUID(bytes=before) if before else _AFTER_ALL,
        "at_most": at_most,
    }
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
