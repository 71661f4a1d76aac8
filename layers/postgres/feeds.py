"""What home feeds are made of. The port that core's home feed names `Feeds`."""

from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from layers.core import media_links
from layers.core.home_feed import Body, Entry, Picture, Sources
from layers.core.models import Filter, PostStatus, Viewer
from layers.core.settings import settings
from layers.postgres import follows
from layers.postgres.connection import autocommit

_DEPTH: Final = 100
_OF_EACH: Final = 21
"""So many posts a new timeline holds, and of one author. Older ones are read from the rows."""

type _Columns = tuple[str, Filter, int | None, int | None, int, PostStatus]

_MEDIA: Final = msgspec.json.Decoder(list[_Columns])

_BATCH: Final = 1000
_ID_BYTES: Final = 16

SOURCES: Final = """
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
    ), placed AS (
        SELECT id, row_number() OVER (PARTITION BY author_id ORDER BY id DESC) AS place FROM newest
    ), cut AS (
        SELECT id FROM placed WHERE place = %(of_each)s ORDER BY id DESC LIMIT 1
    )
    SELECT (SELECT string_agg(uuid_send(id), '') FROM followed),
           (SELECT string_agg(uuid_send(id), '' ORDER BY id DESC) FROM newest
             WHERE id >= coalesce((SELECT id FROM cut), '00000000-0000-0000-0000-000000000000')),
           EXISTS (SELECT FROM cut)
"""
# No more of each author than a page needs: below the last post of an author whose posts were cut, some are missing.


def sources(viewer_id: UUID) -> Sources:
    """Whom the viewer follows, banned ones left out, and their newest posts: a page at least, five at most."""
    values = {"viewer_id": viewer_id, "at_most": _DEPTH + 1, "of_each": _OF_EACH}
    with autocommit() as db:
        row = db.execute(SOURCES, values).fetchone() or (b"", None, False)
    followed, newest, is_cut = row
    shown, depth = newest or b"", _DEPTH * _ID_BYTES
    return Sources(followed=followed, posts=shown[:depth], has_older=is_cut or len(shown) > depth)


POSTS: Final = """
    SELECT p.version, p.id, p.user_id, u.username, u.display_name, u.profile_picture_url, p.caption, p.location,
           p.tags, p.status, p.like_count, p.comment_count, p.created_at,
           EXISTS (SELECT FROM likes l WHERE l.user_id = %(viewer_id)s AND l.post_id = p.id) AS is_liked,
           EXISTS (SELECT FROM saves s WHERE s.user_id = %(viewer_id)s AND s.post_id = p.id) AS is_saved,
           (SELECT json_agg(json_build_array(m.id, m.filter, m.width, m.height, m.order_index, m.status)
                            ORDER BY m.order_index)::text
              FROM post_media m WHERE m.post_id = p.id) AS media
      FROM posts p JOIN users u ON u.id = p.user_id
     WHERE p.id = ANY(%(post_ids)s) AND p.status = 'published' AND u.banned_at IS NULL
       AND (p.user_id = %(viewer_id)s
            OR EXISTS (SELECT FROM follows f WHERE f.follower_id = %(viewer_id)s AND f.following_id = p.user_id))
"""
# Whoever follows an account may view it, and a feed shows nothing else: banned and published are what is left to ask.


def posts(viewer: Viewer, post_ids: Sequence[bytes]) -> list[Entry]:
    """Those of the posts that belong into the viewer's feed, in no order."""
    with autocommit() as db:
        rows = db.execute(POSTS, {"viewer_id": viewer.id, "post_ids": [UUID(bytes=post_id) for post_id in post_ids]})
        return [_entry(row) for row in rows]


PAGE: Final = """
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
    SELECT p.version, p.id, p.user_id, u.username, u.display_name, u.profile_picture_url, p.caption, p.location,
           p.tags, p.status, p.like_count, p.comment_count, p.created_at,
           EXISTS (SELECT FROM likes l WHERE l.user_id = %(viewer_id)s AND l.post_id = p.id) AS is_liked,
           EXISTS (SELECT FROM saves s WHERE s.user_id = %(viewer_id)s AND s.post_id = p.id) AS is_saved,
           (SELECT json_agg(json_build_array(m.id, m.filter, m.width, m.height, m.order_index, m.status)
                            ORDER BY m.order_index)::text
              FROM post_media m WHERE m.post_id = p.id) AS media
      FROM newest JOIN posts p ON p.id = newest.id JOIN users u ON u.id = p.user_id
     ORDER BY p.id DESC
"""


def page(viewer: Viewer, *, before: bytes | None, at_most: int) -> list[Entry]:
    """The feed's next posts, newest first."""
    values = {"viewer_id": viewer.id, "before": UUID(bytes=before) if before else None, "at_most": at_most}
    with autocommit() as db:
        return [_entry(row) for row in db.execute(PAGE, values)]


FOLLOWER_COUNT: Final = "SELECT follower_count FROM users WHERE id = %(author_id)s"


def audience(author_id: UUID) -> Iterator[Sequence[UUID]] | None:
    """Whose timelines a new post of the author goes to, 1,000 followers at a time; None for a star's.

    Each batch is read when it is asked for; no transaction stays open while it is made use of.
    """
    with autocommit() as db:
        row = db.execute(FOLLOWER_COUNT, {"author_id": author_id}).fetchone()
    if row and row[0] >= settings().star_followers:
        return None
    return _followers(author_id)


def _followers(author_id: UUID) -> Iterator[Sequence[UUID]]:
    after: UUID | None = None
    while True:
        with autocommit() as db:
            batch = follows.follower_ids(db, user_id=author_id, after=after, at_most=_BATCH)
        if batch:
            yield batch
        if len(batch) < _BATCH:
            return
        after = batch[-1]


def _entry(row: Sequence[Any]) -> Entry:
    version, post_id, user_id, username, display_name, picture, caption, location, tags, status, *rest = row
    like_count, comment_count, created_at, is_liked, is_saved, media = rest
    body = Body(
        id=post_id,
        user_id=user_id,
        username=username,
        display_name=display_name,
        profile_picture_url=picture,
        caption=caption,
        location=location,
        tags=tags,
        status=status,
        created_at=created_at,
        media=[_picture(columns) for columns in _MEDIA.decode(media)],
    )
    return Entry(
        post_id=post_id.bytes,
        body=body.encoded(),
        like_count=like_count,
        comment_count=comment_count,
        is_liked=is_liked,
        is_saved=is_saved,
        author_id=user_id.bytes,
        version=version,
    )


def _picture(columns: _Columns) -> Picture:
    media_id, filter_, width, height, order_index, status = columns
    return Picture(
        id=media_id,
        filter_applied=filter_,
        width=width,
        height=height,
        order_index=order_index,
        status=status,
        files=f"{media_links.POST_MARK}{order_index}",
    )
