"""Comments on posts, replies, and likes of comments. Comments of banned accounts are shown to admins only."""

from typing import Final, LiteralString
from uuid import UUID

import msgspec

from layers.core.errors import CommentNotFound, NotAllowed, PostNotFound
from layers.core.ids import time_of
from layers.core.models import Comment, PostCounts, Viewer
from layers.core.pages import Row, Window
from layers.postgres.columns import COMMENT
from layers.postgres.connection import Connection, fetch_visible_list, viewer_values
from layers.postgres.rows import class_row


class AddedComment(msgspec.Struct, frozen=True):
    """A new comment, and the counts of its post."""

    comment: Comment
    counts: PostCounts


ADD: Final = """
    WITH post AS (
        SELECT p.id, p.version, p.like_count, p.comment_count
          FROM posts p JOIN users u ON u.id = p.user_id
         WHERE p.id = %(post_id)s AND p.status = 'published' AND can_view_post(%(viewer_id)s, %(is_admin)s, p, u)
           FOR NO KEY UPDATE OF p
    ), parent AS (
        SELECT c.id
          FROM post JOIN comments c ON c.post_id = post.id JOIN users a ON a.id = c.user_id
         WHERE c.id = %(parent_id)s AND can_view_comment(%(is_admin)s, a)
           FOR NO KEY UPDATE OF c
    ), added AS (
        INSERT INTO comments (id, post_id, user_id, parent_id, content, created_at)
        SELECT %(comment_id)s, post.id, %(viewer_id)s, %(parent_id)s, %(content)s, %(created_at)s
          FROM post WHERE %(parent_id)s::uuid IS NULL OR EXISTS (SELECT FROM parent)
        ON CONFLICT (id) DO NOTHING RETURNING post_id, parent_id, created_at
    ), replied AS (
        UPDATE comments SET reply_count = reply_count + 1 FROM added WHERE comments.id = added.parent_id
    ), counted AS (
        UPDATE posts SET comment_count = posts.comment_count + 1, version = posts.version + 1
          FROM added WHERE posts.id = added.post_id
        RETURNING posts.version, posts.like_count, posts.comment_count
    )
    SELECT %(parent_id)s::uuid IS NULL OR EXISTS (SELECT FROM parent),
           added.created_at,
           coalesce(counted.version, post.version),
           coalesce(counted.like_count, post.like_count),
           coalesce(counted.comment_count, post.comment_count),
           author.username, author.display_name, author.profile_picture_url
      FROM post
      JOIN users author ON author.id = %(viewer_id)s
      LEFT JOIN added ON true
      LEFT JOIN counted ON true
"""
# Every change of the comments of a post locks the row of the post first, so that changes are made one after another.
# The parent is locked too: one that was deleted while this waited for the post is not found.

READ: Final = f"""
    SELECT {COMMENT}
      FROM comments c JOIN users u ON u.id = c.user_id
     WHERE c.id = %(comment_id)s
"""


def add(
    db: Connection, *, comment_id: UUID, post_id: UUID, parent_id: UUID | None, content: str, viewer: Viewer
) -> AddedComment:
    """Add a comment, or a reply to `parent_id`; a repetition with the same id adds nothing. Its time is that of its id.

    Raises `PostNotFound` for a post that the viewer may not see, and `CommentNotFound` for a parent that does not exist
    or belongs to another post.
    """
    values = {
        "comment_id": comment_id,
        "post_id": post_id,
        "parent_id": parent_id,
        "content": content,
        "created_at": time_of(comment_id),
        **viewer_values(viewer),
    }
    row = db.execute(ADD, values).fetchone()
    if row is None:
        raise PostNotFound
    has_parent, created_at, version, like_count, comment_count, *author = row
    if not has_parent:
        raise CommentNotFound
    counts = PostCounts(post_id=post_id, version=version, like_count=like_count, comment_count=comment_count)
    if created_at is None:
        return AddedComment(comment=_read(db, comment_id), counts=counts)
    username, display_name, profile_picture_url = author
    comment = Comment(
        id=comment_id,
        user_id=viewer.id,
        username=username,
        display_name=display_name,
        profile_picture_url=profile_picture_url,
        content=content,
        parent_comment_id=parent_id,
        like_count=0,
        reply_count=0,
        created_at=created_at,
    )
    return AddedComment(comment=comment, counts=counts)


def _read(db: Connection, comment_id: UUID) -> Comment:
    """A comment that exists, without `is_liked`; raises `PostNotFound` if it was deleted meanwhile."""
    with db.cursor(row_factory=class_row(Comment)) as cursor:
        found = cursor.execute(READ, {"comment_id": comment_id}).fetchone()
    if found is None:
        raise PostNotFound
    return found


LIST_OF_POST: Final = f"""
    SELECT true AS allowed, listed.id AS key, listed.*
      FROM posts p JOIN users o ON o.id = p.user_id
      LEFT JOIN LATERAL (
            SELECT {COMMENT},
                   EXISTS (SELECT FROM comment_likes l
                            WHERE l.user_id = %(viewer_id)s AND l.comment_id = c.id) AS is_liked
              FROM comments c JOIN users u ON u.id = c.user_id
             WHERE c.post_id = p.id AND c.parent_id IS NULL AND can_view_comment(%(is_admin)s, u)
               AND c.id < %(after_id)s
             ORDER BY c.id DESC LIMIT %(at_most)s
           ) AS listed ON true
     WHERE p.id = %(post_id)s AND can_view_post(%(viewer_id)s, %(is_admin)s, p, o)
     ORDER BY listed.id DESC
"""


def list_of_post(
    db: Connection, *, post_id: UUID, viewer: Viewer | None, window: Window[tuple[UUID]]
) -> list[Row[Comment]]:
    """Comments that are not replies, newest first; raises `PostNotFound` for a post that the viewer may not see."""
    values = {"post_id": post_id, **viewer_values(viewer), "after_id": window.after[0], "at_most": window.at_most}
    listed = fetch_visible_list(db, LIST_OF_POST, values, Comment, keys=1)
    if listed is None:
        raise PostNotFound
    return listed


LIST_REPLIES: Final = f"""
    SELECT true AS allowed, listed.id AS key, listed.*
      FROM comments parent
      JOIN users a ON a.id = parent.user_id
      JOIN posts p ON p.id = parent.post_id
      JOIN users o ON o.id = p.user_id
      LEFT JOIN LATERAL (
            SELECT {COMMENT},
                   EXISTS (SELECT FROM comment_likes l
                            WHERE l.user_id = %(viewer_id)s AND l.comment_id = c.id) AS is_liked
              FROM comments c JOIN users u ON u.id = c.user_id
             WHERE c.parent_id = parent.id AND can_view_comment(%(is_admin)s, u) AND c.id > %(after_id)s
             ORDER BY c.id LIMIT %(at_most)s
           ) AS listed ON true
     WHERE parent.id = %(comment_id)s AND can_view_comment(%(is_admin)s, a)
       AND can_view_post(%(viewer_id)s, %(is_admin)s, p, o)
     ORDER BY listed.id
"""


def list_replies(
    db: Connection, *, comment_id: UUID, viewer: Viewer | None, window: Window[tuple[UUID]]
) -> list[Row[Comment]]:
    """Replies to a comment, oldest first; raises `CommentNotFound` for one that the viewer may not see."""
    values = {"comment_id": comment_id, **viewer_values(viewer), "after_id": window.after[0], "at_most": window.at_most}
    listed = fetch_visible_list(db, LIST_REPLIES, values, Comment, keys=1)
    if listed is None:
        raise CommentNotFound
    return listed


class DeletedComment(msgspec.Struct, frozen=True):
    """The result of deleting a comment."""

    author_id: UUID
    post_author_id: UUID
    counts: PostCounts


LOCK_POST_OF: Final = """
    SELECT FROM posts WHERE id = (SELECT post_id FROM comments WHERE id = %(comment_id)s) FOR NO KEY UPDATE
"""

READ_OWNERS: Final = """
    SELECT c.user_id, p.user_id
      FROM comments c
      JOIN users a ON a.id = c.user_id
      JOIN posts p ON p.id = c.post_id
      JOIN users o ON o.id = p.user_id
     WHERE c.id = %(comment_id)s AND p.status <> 'deleted'
       AND (c.user_id = %(viewer_id)s
            OR can_view_comment(%(is_admin)s, a) AND can_view_post(%(viewer_id)s, %(is_admin)s, p, o))
"""
# An author can always delete their own comment, even if they can no longer see the post.

DELETE: Final = """
    WITH RECURSIVE thread AS (
        SELECT id, post_id, parent_id FROM comments WHERE id = %(comment_id)s
         UNION ALL
        SELECT c.id, c.post_id, c.parent_id FROM comments c JOIN thread t ON c.parent_id = t.id
    ), removed AS (
        DELETE FROM comments WHERE id IN (SELECT id FROM thread) RETURNING id
    ), replied AS (
        UPDATE comments SET reply_count = reply_count - 1
         WHERE id = (SELECT parent_id FROM thread WHERE id = %(comment_id)s)
    )
    UPDATE posts SET comment_count = comment_count - (SELECT count(*) FROM removed), version = version + 1
     WHERE id = (SELECT post_id FROM thread WHERE id = %(comment_id)s)
    RETURNING id AS post_id, version, like_count, comment_count
"""


def delete(db: Connection, *, comment_id: UUID, viewer: Viewer) -> DeletedComment:
    """Delete a comment with all replies to it. Its author, the author of the post and admins may do this.

    Raises `CommentNotFound` for a comment that the viewer may not see, and `NotAllowed` for one that the viewer may see
    but not delete.
    """
    values = {"comment_id": comment_id, **viewer_values(viewer)}
    db.execute(LOCK_POST_OF, values)
    owners = db.execute(READ_OWNERS, values).fetchone()
    if owners is None:
        raise CommentNotFound
    if viewer.id not in owners and viewer.role != "admin":
        raise NotAllowed
    with db.cursor(row_factory=class_row(PostCounts)) as cursor:
        counts = cursor.execute(DELETE, values).fetchone()
    if counts is None:
        raise CommentNotFound
    author_id, post_author_id = owners
    return DeletedComment(author_id=author_id, post_author_id=post_author_id, counts=counts)


LIKE: Final[LiteralString] = """
    WITH comment AS (
        SELECT c.id
          FROM comments c
          JOIN users a ON a.id = c.user_id
          JOIN posts p ON p.id = c.post_id
          JOIN users o ON o.id = p.user_id
         WHERE c.id = %(comment_id)s AND p.status = 'published' AND can_view_comment(%(is_admin)s, a)
           AND can_view_post(%(viewer_id)s, %(is_admin)s, p, o)
           FOR NO KEY UPDATE OF c
    ), added AS (
        INSERT INTO comment_likes (user_id, comment_id) SELECT %(viewer_id)s, id FROM comment
        ON CONFLICT DO NOTHING RETURNING comment_id
    ), counted AS (
        UPDATE comments SET like_count = like_count + 1 FROM added WHERE comments.id = added.comment_id
    )
    SELECT EXISTS (SELECT FROM added) FROM comment
"""


def like(db: Connection, *, comment_id: UUID, viewer: Viewer) -> bool:
    """Like a comment; False if it was liked before. Raises `CommentNotFound` for one that the viewer may not see."""
    return _execute(db, LIKE, comment_id, viewer)


UNLIKE: Final[LiteralString] = """
    WITH comment AS (
        SELECT c.id
          FROM comments c
          JOIN users a ON a.id = c.user_id
          JOIN posts p ON p.id = c.post_id
          JOIN users o ON o.id = p.user_id
         WHERE c.id = %(comment_id)s AND p.status = 'published'
           AND (EXISTS (SELECT FROM comment_likes l WHERE l.user_id = %(viewer_id)s AND l.comment_id = c.id)
                OR can_view_comment(%(is_admin)s, a) AND can_view_post(%(viewer_id)s, %(is_admin)s, p, o))
           FOR NO KEY UPDATE OF c
    ), removed AS (
        DELETE FROM comment_likes USING comment
         WHERE comment_likes.comment_id = comment.id AND comment_likes.user_id = %(viewer_id)s
        RETURNING comment_likes.comment_id
    ), counted AS (
        UPDATE comments SET like_count = like_count - 1 FROM removed WHERE comments.id = removed.comment_id
    )
    SELECT EXISTS (SELECT FROM removed) FROM comment
"""


def unlike(db: Connection, *, comment_id: UUID, viewer: Viewer) -> bool:
    """Remove a like; False if there was none. Raises as `like`, but never for a comment that the viewer likes."""
    return _execute(db, UNLIKE, comment_id, viewer)


def _execute(db: Connection, statement: LiteralString, comment_id: UUID, viewer: Viewer) -> bool:
    row = db.execute(statement, {"comment_id": comment_id, **viewer_values(viewer)}).fetchone()
    if row is None:
        raise CommentNotFound
    return bool(row[0])
