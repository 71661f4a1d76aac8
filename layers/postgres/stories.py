"""Stories and who viewed them. A story past its end is in no answer, whether its row is still there or not."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from layers.core import limits, media_links, story_files
from layers.core.errors import NotAllowed, StoryNotFound, UserNotFound
from layers.core.models import Filter, Shape, Story, StoryUser, StoryViewer, UserCard, Viewer
from layers.core.pages import Row, Window
from layers.postgres.connection import Connection, listed_as, rows_as, seen_by

BEGIN: Final = """
    INSERT INTO stories (id, user_id, filter, created_at, expires_at)
    SELECT %(story_id)s, %(user_id)s, %(filter)s, begun.at, begun.at
      FROM (SELECT date_trunc('milliseconds', now()) AS at) AS begun
    ON CONFLICT (id) DO UPDATE SET created_at = excluded.created_at, expires_at = excluded.expires_at
     WHERE stories.expires_at = stories.created_at
"""
# Truncated, as the column would round up: for half a millisecond the story would not have ended yet.


def begin(db: Connection, *, story_id: UUID, user_id: UUID, filter_: Filter) -> None:
    """The row of a story whose files are about to be stored; it has ended already, so nobody sees it.

    If they cannot be stored, or nobody is left to store them, the cleanup finds the row like any ended story's and
    removes it with whatever files arrived: a file always has a row that names it. Beginning the same one again gives
    its files time anew.
    """
    db.execute(BEGIN, {"story_id": story_id, "user_id": user_id, "filter": filter_})


PUBLISH: Final = """
    WITH published AS (
        UPDATE stories SET created_at = now(), expires_at = now() + %(seconds)s * interval '1 s'
         WHERE id = %(story_id)s AND expires_at = created_at
        RETURNING id, user_id, filter, view_count, true AS has_viewed, created_at, expires_at
    )
    SELECT * FROM published
     UNION ALL
    SELECT id, user_id, filter, view_count, true, created_at, expires_at
      FROM stories WHERE id = %(story_id)s AND expires_at > now()
"""


def publish(db: Connection, *, story_id: UUID) -> Story:
    """The files of a begun story are stored: from now it lives, for 24 h. The story as its owner sees it.

    One that lives already stays as it is; raises `StoryNotFound` for one that is gone.
    """
    row = db.execute(PUBLISH, {"story_id": story_id, "seconds": limits.STORY_SECONDS}).fetchone()
    if row is None:
        raise StoryNotFound
    return _story(row)


TRAY: Final = """
    SELECT u.id, u.username, u.display_name, u.profile_picture_url, active.story_count, active.latest_story_time,
           u.id = %(viewer_id)s OR active.all_viewed AS has_seen
      FROM (SELECT %(viewer_id)s::uuid UNION ALL
            SELECT following_id FROM follows WHERE follower_id = %(viewer_id)s) AS person (id)
      JOIN users u ON u.id = person.id
     CROSS JOIN LATERAL (
            SELECT count(*) AS story_count, max(s.created_at) AS latest_story_time,
                   bool_and(EXISTS (SELECT FROM story_views v
                                     WHERE v.story_id = s.id AND v.viewer_id = %(viewer_id)s)) AS all_viewed
              FROM stories s WHERE s.user_id = person.id AND s.expires_at > now()
           ) AS active
     WHERE active.story_count > 0 AND can_view(%(viewer_id)s, %(is_admin)s, u)
     ORDER BY u.id <> %(viewer_id)s, has_seen, active.latest_story_time DESC, u.id
"""
# Two index probes per followed account. No cache: it would have to be right about ends, views, follows and privacy.


def tray(db: Connection, *, viewer: Viewer) -> list[StoryUser]:
    """Who has stories for the viewer: the viewer first, then followed accounts, unseen before seen, latest first."""
    with db.cursor(row_factory=rows_as(StoryUser)) as cursor:
        return cursor.execute(TRAY, seen_by(viewer)).fetchall()


class StoriesOfUser(Shape, frozen=True, kw_only=True):
    """A user with the stories that live now, oldest first."""

    user: UserCard
    stories: list[Story]


OF_USER: Final = """
    SELECT u.id, u.username, u.display_name, u.profile_picture_url, u.is_verified, seen.allowed,
           s.id, s.user_id, s.filter, s.view_count,
           u.id = %(viewer_id)s OR v.story_id IS NOT NULL AS has_viewed, s.created_at, s.expires_at
      FROM users u
     CROSS JOIN LATERAL (SELECT can_view(%(viewer_id)s, %(is_admin)s, u) AS allowed) AS seen
      LEFT JOIN stories s ON s.user_id = u.id AND s.expires_at > now() AND seen.allowed
      LEFT JOIN story_views v ON v.story_id = s.id AND v.viewer_id = %(viewer_id)s
     WHERE u.id = %(user_id)s AND (u.banned_at IS NULL OR %(is_admin)s)
     ORDER BY s.created_at, s.id
"""


def of_user(db: Connection, *, user_id: UUID, viewer: Viewer) -> StoriesOfUser:
    """A user's stories; raises `NotAllowed` for a private account that the viewer may not view, or `UserNotFound`."""
    rows = db.execute(OF_USER, {"user_id": user_id, **seen_by(viewer)}).fetchall()
    if not rows:
        raise UserNotFound
    *card, allowed = rows[0][:6]
    if not allowed:
        raise NotAllowed("This account is private.")
    return StoriesOfUser(user=_card(card), stories=[_story(row[6:]) for row in rows if row[6]])


OF_SELF: Final = """
    SELECT id, user_id, filter, view_count, true AS has_viewed, created_at, expires_at
      FROM stories
     WHERE user_id = %(viewer_id)s AND expires_at > now()
     ORDER BY created_at, id
"""


def of_self(db: Connection, *, viewer: Viewer) -> list[Story]:
    """The viewer's own stories, oldest first."""
    return [_story(row) for row in db.execute(OF_SELF, seen_by(viewer))]


class StoryOfUser(Shape, frozen=True, kw_only=True):
    """A story with whose it is."""

    story: Story
    user: UserCard


READ: Final = """
    SELECT u.id, u.username, u.display_name, u.profile_picture_url, u.is_verified,
           s.id, s.user_id, s.filter, s.view_count,
           u.id = %(viewer_id)s OR v.story_id IS NOT NULL AS has_viewed, s.created_at, s.expires_at
      FROM stories s
      JOIN users u ON u.id = s.user_id
      LEFT JOIN story_views v ON v.story_id = s.id AND v.viewer_id = %(viewer_id)s
     WHERE s.id = %(story_id)s AND s.expires_at > now() AND can_view(%(viewer_id)s, %(is_admin)s, u)
"""


def read(db: Connection, *, story_id: UUID, viewer: Viewer) -> StoryOfUser:
    """One story; raises `StoryNotFound` for one that the viewer may not see."""
    row = db.execute(READ, {"story_id": story_id, **seen_by(viewer)}).fetchone()
    if row is None:
        raise StoryNotFound
    return StoryOfUser(user=_card(row[:5]), story=_story(row[5:]))


class Viewed(msgspec.Struct, frozen=True):
    """What a view came to."""

    is_own: bool
    is_new: bool
    """Counted: the viewer's first, and not the owner's."""


VIEW: Final = """
    WITH story AS (
        SELECT s.id, s.user_id = %(viewer_id)s AS is_own
          FROM stories s JOIN users u ON u.id = s.user_id
         WHERE s.id = %(story_id)s AND s.expires_at > now() AND can_view(%(viewer_id)s, %(is_admin)s, u)
           FOR NO KEY UPDATE OF s
    ), viewed AS (
        INSERT INTO story_views (story_id, viewer_id) SELECT id, %(viewer_id)s FROM story WHERE NOT is_own
        ON CONFLICT DO NOTHING RETURNING story_id
    ), counted AS (
        UPDATE stories SET view_count = view_count + 1 FROM viewed WHERE stories.id = viewed.story_id
        RETURNING stories.id
    )
    SELECT story.is_own, counted.id IS NOT NULL AS is_new FROM story LEFT JOIN counted ON true
"""


def view(db: Connection, *, story_id: UUID, viewer: Viewer) -> Viewed:
    """Record that the viewer saw a story, once; raises `StoryNotFound` for one that is not theirs to see."""
    with db.cursor(row_factory=rows_as(Viewed)) as cursor:
        viewed = cursor.execute(VIEW, {"story_id": story_id, **seen_by(viewer)}).fetchone()
    if viewed is None:
        raise StoryNotFound
    return viewed


LOCK: Final = """
    SELECT s.user_id
      FROM stories s JOIN users u ON u.id = s.user_id
     WHERE s.id = %(story_id)s AND s.expires_at > now() AND can_view(%(viewer_id)s, %(is_admin)s, u)
       FOR NO KEY UPDATE OF s
"""

VIEWERS: Final = """
    SELECT v.viewed_at, v.viewer_id, u.id, u.username, u.display_name, u.profile_picture_url, u.is_verified,
           v.viewed_at
      FROM story_views v JOIN users u ON u.id = v.viewer_id
     WHERE v.story_id = %(story_id)s AND (u.banned_at IS NULL OR %(is_admin)s)
       AND v.viewed_at <= %(after_time)s AND (v.viewed_at < %(after_time)s OR v.viewer_id > %(after_id)s)
     ORDER BY v.viewed_at DESC, v.viewer_id LIMIT %(at_most)s
"""


class ViewersOfStory(msgspec.Struct, frozen=True):
    """Who saw a story, and whose it is."""

    author_id: UUID
    rows: list[Row[StoryViewer]]


def viewers(db: Connection, *, story_id: UUID, viewer: Viewer, window: Window[tuple[str, UUID]]) -> ViewersOfStory:
    """Who saw a story, the latest first: its owner's or an admin's to know.

    Raises `StoryNotFound` for one that the viewer may not see, `NotAllowed` for what is another's.
    """
    author_id = _own(db, story_id, viewer)
    after_time, after_id = window.after
    values = {"story_id": story_id, **seen_by(viewer)}
    values |= {"after_time": after_time, "after_id": after_id, "at_most": window.at_most}
    with db.cursor(row_factory=listed_as(StoryViewer, keys=2)) as cursor:
        return ViewersOfStory(author_id=author_id, rows=cursor.execute(VIEWERS, values).fetchall())


END: Final = "UPDATE stories SET expires_at = created_at WHERE id = %(story_id)s"


def end(db: Connection, *, story_id: UUID, viewer: Viewer) -> UUID:
    """Let a story's life be over: nobody sees it from now on. Whose it was.

    Its row stays until its files are gone (`remove`, or the hourly cleanup). Raises as `viewers`.
    """
    author_id = _own(db, story_id, viewer)
    db.execute(END, {"story_id": story_id})
    return author_id


REMOVE: Final = "DELETE FROM stories WHERE id = %(story_id)s AND expires_at <= now()"


def remove(db: Connection, *, story_id: UUID) -> None:
    """Remove the row of a story that has ended and whose files are gone."""
    db.execute(REMOVE, {"story_id": story_id})


def _own(db: Connection, story_id: UUID, viewer: Viewer) -> UUID:
    row = db.execute(LOCK, {"story_id": story_id, **seen_by(viewer)}).fetchone()
    if row is None:
        raise StoryNotFound
    author_id: UUID = row[0]
    if author_id != viewer.id and viewer.role != "admin":
        raise NotAllowed
    return author_id


DELETE_EXPIRED: Final = """
    DELETE FROM stories
     WHERE id IN (SELECT id FROM stories WHERE expires_at < now() - %(seconds)s * interval '1 s'
                   ORDER BY expires_at LIMIT %(at_most)s FOR UPDATE SKIP LOCKED)
    RETURNING id
"""


def delete_expired(db: Connection, *, older_than_seconds: float, at_most: int) -> list[UUID]:
    """Remove the rows of stories that ended so long ago, their views with them; their ids.

    Two cleaners never take the same row.
    """
    values = {"seconds": older_than_seconds, "at_most": at_most}
    return [row[0] for row in db.execute(DELETE_EXPIRED, values)]


def _card(row: Sequence[Any]) -> UserCard:
    user_id, username, display_name, picture, is_verified = row
    return UserCard(
        id=user_id, username=username, display_name=display_name, profile_picture_url=picture, is_verified=is_verified
    )


def _story(row: Sequence[Any]) -> Story:
    story_id, user_id, filter_, view_count, has_viewed, created_at, expires_at = row
    end = datetime.fromisoformat(expires_at)
    return Story(
        id=story_id,
        user_id=user_id,
        media_url=media_links.ending(story_files.picture_key(story_id, "jpg"), end),
        thumbnail_url=media_links.ending(story_files.thumbnail_key(story_id), end),
        filter_applied=filter_,
        view_count=view_count,
        has_viewed=has_viewed,
        created_at=created_at,
        expires_at=expires_at,
    )
