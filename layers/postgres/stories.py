"""Stories and who viewed them. A story past its end is in no answer, whether its row is still there or not."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from layers.core import limits, media_links, story_files
from layers.core.errors import NotAllowed, StoryNotFound, UserNotFound
from layers.core.models import Filter, Shape, Story, StoryUser, UserCard, Viewer
from layers.postgres.connection import Connection, rows_as, seen_by

BEGIN: Final = """
    INSERT INTO stories (id, user_id, filter, created_at, expires_at)
    SELECT %(story_id)s, %(user_id)s, %(filter)s, begun.at, begun.at
      FROM (SELECT date_trunc('milliseconds', now()) AS at) AS begun
"""
# Truncated, as the column would round up: for half a millisecond the story would not have ended yet.


def begin(db: Connection, *, story_id: UUID, user_id: UUID, filter_: Filter) -> None:
    """The row of a story whose files are about to be stored; it has ended already, so nobody sees it.

    If they cannot be stored, or nobody is left to store them, the cleanup finds the row like any ended story's and
    removes it with whatever files arrived: a file always has a row that names it.
    """
    db.execute(BEGIN, {"story_id": story_id, "user_id": user_id, "filter": filter_})


PUBLISH: Final = """
    UPDATE stories SET created_at = now(), expires_at = now() + %(seconds)s * interval '1 s'
     WHERE id = %(story_id)s AND expires_at = created_at
    RETURNING id, user_id, filter, view_count, true AS has_viewed, created_at, expires_at
"""


def publish(db: Connection, *, story_id: UUID) -> Story:
    """The files of a begun story are stored: from now it lives, for 24 h. The story as its owner sees it."""
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
    id_, username, display_name, picture, is_verified, allowed = rows[0][:6]
    if not allowed:
        raise NotAllowed("This account is private.")
    card = UserCard(
        id=id_, username=username, display_name=display_name, profile_picture_url=picture, is_verified=is_verified
    )
    return StoriesOfUser(user=card, stories=[_story(row[6:]) for row in rows if row[6]])


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


def _story(row: Sequence[Any]) -> Story:
    story_id, user_id, filter_, view_count, has_viewed, created_at, expires_at = row
    end, scope = datetime.fromisoformat(expires_at), str(story_id)
    return Story(
        id=story_id,
        user_id=user_id,
        media_url=media_links.link(story_files.picture_key(story_id, "jpg"), scope, at_most=end),
        thumbnail_url=media_links.link(story_files.thumbnail_key(story_id), scope, at_most=end),
        filter_applied=filter_,
        view_count=view_count,
        has_viewed=has_viewed,
        created_at=created_at,
        expires_at=expires_at,
    )
