"""Stories and their views. No statement returns a story that has ended, even if its row still exists (R-S1)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from layers.core import limits, media_links, story_files
from layers.core.errors import NotAllowed, StoryNotFound, UserNotFound
from layers.core.models import Filter, Shape, Story, StoryUser, StoryViewer, Time, UserCard, Viewer
from layers.core.pages import Row, Window
from layers.postgres.columns import CARD, STORY
from layers.postgres.connection import Connection, list_row, viewer_values
from layers.postgres.rows import class_row

_CARD_COLUMNS: Final = len(UserCard.__struct_fields__)

BEGIN: Final = """
    INSERT INTO stories (id, user_id, filter, created_at, expires_at)
    SELECT %(story_id)s, %(user_id)s, %(filter)s, begun.at, begun.at
      FROM (SELECT date_trunc('milliseconds', now()) AS at) AS begun
    ON CONFLICT (id) DO UPDATE SET created_at = excluded.created_at, expires_at = excluded.expires_at
     WHERE stories.expires_at = stories.created_at
"""
# Truncated, because the column rounds up, and the story would not have ended for half a millisecond.


def begin(db: Connection, *, story_id: UUID, user_id: UUID, filter_: Filter) -> None:
    """Create the row of a story whose files are about to be stored. It has ended already, so no reader sees it.

    If the files are not stored, the cleanup removes the row and the files that exist, as for any ended story
    (docs/decisions/0022-story-rows-first.md). May be repeated with the same id, which extends the time for the files.
    """
    db.execute(BEGIN, {"story_id": story_id, "user_id": user_id, "filter": filter_})


PUBLISH: Final = f"""
    WITH published AS (
        UPDATE stories AS s SET created_at = now(), expires_at = now() + %(seconds)s * interval '1 s'
         WHERE s.id = %(story_id)s AND s.expires_at = s.created_at
        RETURNING {STORY}, true AS has_viewed
    )
    SELECT * FROM published
     UNION ALL
    SELECT {STORY}, true FROM stories s WHERE s.id = %(story_id)s AND s.expires_at > now()
"""


class StoryRow(msgspec.Struct, frozen=True):
    """The columns of `columns.STORY`, and whether the viewer has viewed the story."""

    id: UUID
    user_id: UUID
    filter: Filter
    view_count: int
    created_at: Time
    expires_at: Time
    has_viewed: bool

    def to_story(self) -> Story:
        """The story as answers show it; its links stop working when it ends."""
        end = datetime.fromisoformat(self.expires_at)
        return Story(
            id=self.id,
            user_id=self.user_id,
            media_url=media_links.expiring_url(story_files.picture_key(self.id, "jpg"), end),
            thumbnail_url=media_links.expiring_url(story_files.thumbnail_key(self.id), end),
            filter_applied=self.filter,
            view_count=self.view_count,
            has_viewed=self.has_viewed,
            created_at=self.created_at,
            expires_at=self.expires_at,
        )


def publish(db: Connection, *, story_id: UUID) -> Story:
    """Publish a story whose files are stored, for 24 h from now; returns it as its owner sees it.

    A published story is not changed. Raises `StoryNotFound` for one that was removed.
    """
    values = {"story_id": story_id, "seconds": limits.STORY_SECONDS}
    with db.cursor(row_factory=class_row(StoryRow)) as cursor:
        published = cursor.execute(PUBLISH, values).fetchone()
    if published is None:
        raise StoryNotFound
    return published.to_story()


READ_TRAY: Final = """
    WITH reader AS MATERIALIZED (
        SELECT following_count <= greatest(500, (SELECT reltuples / 5 FROM pg_class WHERE oid = 'stories'::regclass))
               AS follows_few
          FROM users WHERE id = %(viewer_id)s
    ), active AS MATERIALIZED (
        SELECT id, user_id, created_at FROM stories WHERE user_id = %(viewer_id)s AND expires_at > now()
         UNION ALL
        SELECT s.id, s.user_id, s.created_at
          FROM follows f CROSS JOIN LATERAL (
                SELECT id, user_id, created_at FROM stories
                 WHERE user_id = f.following_id AND expires_at > now() OFFSET 0
               ) AS s
         WHERE f.follower_id = %(viewer_id)s AND (SELECT follows_few FROM reader)
         UNION ALL
        SELECT s.id, s.user_id, s.created_at
          FROM (SELECT id, user_id, created_at FROM stories WHERE expires_at > now() OFFSET 0) AS s
         WHERE NOT (SELECT follows_few FROM reader)
           AND EXISTS (SELECT FROM follows f WHERE f.follower_id = %(viewer_id)s AND f.following_id = s.user_id)
    ), tray AS (
        SELECT user_id, count(*) AS story_count, max(created_at) AS latest_story_time,
               bool_and(EXISTS (SELECT FROM story_views v
                                 WHERE v.story_id = active.id AND v.viewer_id = %(viewer_id)s)) AS all_viewed
          FROM active GROUP BY user_id
    )
    SELECT u.id, u.username, u.display_name, u.profile_picture_url, tray.story_count, tray.latest_story_time,
           u.id = %(viewer_id)s OR tray.all_viewed AS has_seen
      FROM tray JOIN users u ON u.id = tray.user_id
     WHERE can_view(%(viewer_id)s, %(is_admin)s, u)
     ORDER BY u.id <> %(viewer_id)s, has_seen, tray.latest_story_time DESC, u.id
"""
# Who follows few accounts looks up each of them; otherwise all active stories are read, a row of which takes a fifth of
# the time. OFFSET 0 keeps PostgreSQL from choosing one of the ways for both.
# It is not cached, as each story, view, follow and privacy change affects it.


def read_tray(db: Connection, *, viewer: Viewer) -> list[StoryUser]:
    """The accounts with active stories: the viewer, then followed accounts, unseen before seen, latest first."""
    with db.cursor(row_factory=class_row(StoryUser)) as cursor:
        return cursor.execute(READ_TRAY, viewer_values(viewer)).fetchall()


class StoriesOfUser(Shape, frozen=True, kw_only=True):
    """A user and their active stories, oldest first."""

    user: UserCard
    stories: list[Story]


LIST_OF_USER: Final = f"""
    SELECT access.allowed, {CARD},
           {STORY}, u.id = %(viewer_id)s OR v.story_id IS NOT NULL AS has_viewed
      FROM users u
     CROSS JOIN LATERAL (SELECT can_view(%(viewer_id)s, %(is_admin)s, u) AS allowed) AS access
      LEFT JOIN stories s ON s.user_id = u.id AND s.expires_at > now() AND access.allowed
      LEFT JOIN story_views v ON v.story_id = s.id AND v.viewer_id = %(viewer_id)s
     WHERE u.id = %(user_id)s AND (u.banned_at IS NULL OR %(is_admin)s)
     ORDER BY s.created_at, s.id
"""


def list_of_user(db: Connection, *, user_id: UUID, viewer: Viewer) -> StoriesOfUser:
    """The active stories of a user.

    Raises `NotAllowed` for a private account that the viewer may not view, and `UserNotFound`.
    """
    rows = db.execute(LIST_OF_USER, {"user_id": user_id, **viewer_values(viewer)}).fetchall()
    if not rows:
        raise UserNotFound
    allowed, *columns = rows[0]
    if not allowed:
        raise NotAllowed("This account is private.")
    return StoriesOfUser(user=_card(columns), stories=[_story(row[1:]) for row in rows if row[1 + _CARD_COLUMNS]])


LIST_OWN: Final = f"""
    SELECT {STORY}, true AS has_viewed
      FROM stories s
     WHERE s.user_id = %(viewer_id)s AND s.expires_at > now()
     ORDER BY s.created_at, s.id
"""


def list_own(db: Connection, *, viewer: Viewer) -> list[Story]:
    """The viewer's own active stories, oldest first."""
    with db.cursor(row_factory=class_row(StoryRow)) as cursor:
        return [row.to_story() for row in cursor.execute(LIST_OWN, viewer_values(viewer))]


class StoryOfUser(Shape, frozen=True, kw_only=True):
    """A story and its owner."""

    story: Story
    user: UserCard


READ: Final = f"""
    SELECT {CARD},
           {STORY}, u.id = %(viewer_id)s OR v.story_id IS NOT NULL AS has_viewed
      FROM stories s
      JOIN users u ON u.id = s.user_id
      LEFT JOIN story_views v ON v.story_id = s.id AND v.viewer_id = %(viewer_id)s
     WHERE s.id = %(story_id)s AND s.expires_at > now() AND can_view(%(viewer_id)s, %(is_admin)s, u)
"""


def read(db: Connection, *, story_id: UUID, viewer: Viewer) -> StoryOfUser:
    """One story; raises `StoryNotFound` for one that the viewer may not see."""
    row = db.execute(READ, {"story_id": story_id, **viewer_values(viewer)}).fetchone()
    if row is None:
        raise StoryNotFound
    return StoryOfUser(story=_story(row), user=_card(row))


class ViewResult(msgspec.Struct, frozen=True):
    """The result of recording a view."""

    is_own: bool
    """Whether the viewer is the owner, whose views are not counted (R-S3)."""
    is_new: bool
    """Whether the view was counted: the first one of this viewer."""


RECORD_VIEW: Final = """
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


def record_view(db: Connection, *, story_id: UUID, viewer: Viewer) -> ViewResult:
    """Record a view of a story; may be repeated. Raises `StoryNotFound` for one that the viewer may not see."""
    with db.cursor(row_factory=class_row(ViewResult)) as cursor:
        result = cursor.execute(RECORD_VIEW, {"story_id": story_id, **viewer_values(viewer)}).fetchone()
    if result is None:
        raise StoryNotFound
    return result


LOCK_OWN: Final = """
    SELECT s.user_id
      FROM stories s JOIN users u ON u.id = s.user_id
     WHERE s.id = %(story_id)s AND s.expires_at > now() AND can_view(%(viewer_id)s, %(is_admin)s, u)
       FOR NO KEY UPDATE OF s
"""

LIST_VIEWERS: Final = f"""
    SELECT v.viewed_at, v.viewer_id, {CARD},
           v.viewed_at
      FROM story_views v JOIN users u ON u.id = v.viewer_id
     WHERE v.story_id = %(story_id)s AND (u.banned_at IS NULL OR %(is_admin)s)
       AND v.viewed_at <= %(after_time)s AND (v.viewed_at < %(after_time)s OR v.viewer_id > %(after_id)s)
     ORDER BY v.viewed_at DESC, v.viewer_id LIMIT %(at_most)s
"""


class ViewersOfStory(msgspec.Struct, frozen=True):
    """The viewers of a story, and its owner."""

    author_id: UUID
    rows: list[Row[StoryViewer]]


def list_viewers(db: Connection, *, story_id: UUID, viewer: Viewer, window: Window[tuple[str, UUID]]) -> ViewersOfStory:
    """The viewers of a story, latest first. Its owner and admins may see them.

    Raises `StoryNotFound` for a story that the viewer may not see, and `NotAllowed` for one of another owner.
    """
    author_id = _lock_own(db, story_id, viewer)
    after_time, after_id = window.after
    values = {"story_id": story_id, **viewer_values(viewer)}
    values |= {"after_time": after_time, "after_id": after_id, "at_most": window.at_most}
    with db.cursor(row_factory=list_row(StoryViewer, keys=2)) as cursor:
        return ViewersOfStory(author_id=author_id, rows=cursor.execute(LIST_VIEWERS, values).fetchall())


END: Final = "UPDATE stories SET expires_at = created_at WHERE id = %(story_id)s"


def end(db: Connection, *, story_id: UUID, viewer: Viewer) -> UUID:
    """End a story, so that no reader sees it any more; returns the id of its owner.

    Its row stays until its files are removed (`remove`, or the hourly cleanup). Raises as `list_viewers`.
    """
    author_id = _lock_own(db, story_id, viewer)
    db.execute(END, {"story_id": story_id})
    return author_id


REMOVE: Final = "DELETE FROM stories WHERE id = %(story_id)s AND expires_at <= now()"


def remove(db: Connection, *, story_id: UUID) -> None:
    """Delete the row of a story that has ended and whose files were removed."""
    db.execute(REMOVE, {"story_id": story_id})


def _lock_own(db: Connection, story_id: UUID, viewer: Viewer) -> UUID:
    row = db.execute(LOCK_OWN, {"story_id": story_id, **viewer_values(viewer)}).fetchone()
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
    """Delete the rows, with their views, of stories that ended more than this many seconds ago; returns their ids.

    Concurrent calls never delete the same row.
    """
    values = {"seconds": older_than_seconds, "at_most": at_most}
    return [row[0] for row in db.execute(DELETE_EXPIRED, values)]


def _card(columns: Sequence[Any]) -> UserCard:
    """The card in the first columns of a row."""
    return UserCard(**dict(zip(UserCard.__struct_fields__, columns, strict=False)))


def _story(columns: Sequence[Any]) -> Story:
    """The story in the columns after those of a card."""
    return StoryRow(**dict(zip(StoryRow.__struct_fields__, columns[_CARD_COLUMNS:], strict=True))).to_story()
