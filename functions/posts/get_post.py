"""GET /api/v1/posts/{post_id}: return one post.

Its author and admins also see it while it is `processing` or `failed`.
"""

from uuid import UUID

from layers.core.models import Post, Shape, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import posts
from layers.postgres.connection import autocommit


class OnePost(Shape, frozen=True, kw_only=True):
    """The post."""

    post: Post


@endpoint
def handler(post_id: UUID, viewer: Viewer | None) -> OnePost:
    with autocommit() as db:
        return OnePost(post=posts.read(db, post_id=post_id, viewer=viewer))
