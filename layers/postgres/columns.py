"""Column lists that several statements share; each has the fields of one Struct.

Statements include these constants only, never values of requests. `tests/integration/layers/postgres/test_columns.py`
compares each list with the fields of its Struct.
"""

from typing import Final

CARD: Final = "u.id, u.username, u.display_name, u.profile_picture_url, u.is_verified"
"""The fields of `UserCard`, from `users u`."""

ACCOUNT: Final = """
           u.id, u.username, u.email, u.display_name, u.bio, u.profile_picture_url, u.follower_count,
           u.following_count, u.post_count, u.is_private, u.role, u.is_verified, u.created_at, u.updated_at
"""
"""The fields of `UserSelf`, from `users u`."""

POST: Final = """
           p.version, p.id, p.user_id, u.username, u.display_name, u.profile_picture_url, p.caption, p.location,
           p.tags, p.status, p.like_count, p.comment_count, p.created_at,
           EXISTS (SELECT FROM likes l WHERE l.user_id = %(viewer_id)s AND l.post_id = p.id) AS is_liked,
           EXISTS (SELECT FROM saves s WHERE s.user_id = %(viewer_id)s AND s.post_id = p.id) AS is_saved,
           (SELECT json_agg(json_build_array(m.id, m.filter, m.width, m.height, m.order_index, m.status, m.failure)
                            ORDER BY m.order_index)::text
              FROM post_media m WHERE m.post_id = p.id) AS media
"""
"""The fields of `post_rows.PostRow`, from `posts p JOIN users u`; `media` is JSON, as arrays of rows decode slowly."""

COMMENT: Final = """
           c.id, c.user_id, u.username, u.display_name, u.profile_picture_url, c.content,
           c.parent_id AS parent_comment_id, c.like_count, c.reply_count, c.created_at
"""
"""The fields of `Comment` without `is_liked`, from `comments c JOIN users u`."""

THUMB: Final = """
           p.id, p.thumbnail, p.like_count, p.comment_count,
           (SELECT count(*)::integer FROM post_media m WHERE m.post_id = p.id) AS media_count, p.created_at
"""
"""The fields of `PostThumb`, from `posts p`."""

STORY: Final = "s.id, s.user_id, s.filter, s.view_count, s.created_at, s.expires_at"
"""The fields of `stories.StoryRow` without `has_viewed`, from `stories s`."""
