"""GET /api/v1/admin/posts: all posts of all accounts in any state, the newest first."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from layers.core import pages
from layers.core.endpoint import endpoint
from layers.core.errors import Invalid
from layers.core.models import Admin, Page, Shape
from layers.core.pages import LAST_ID
from layers.postgres import administration, audit
from layers.postgres.administration import AnyPost, AnyPostStatus, PostFilter
from layers.postgres.connection import READ_SECONDS

type Moment = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class PostsPage(Page, frozen=True, kw_only=True):
    """Which posts; a filter that is not given lets all pass."""

    status: AnyPostStatus | UnsetType = UNSET
    user_id: UUID | UnsetType = msgspec.field(name="userId", default=UNSET)
    q: str = ""
    """A part of the caption, in any case."""
    since: Moment | UnsetType = msgspec.field(name="from", default=UNSET)
    """Made then or later; a time without a zone is UTC."""
    before: Moment | UnsetType = msgspec.field(name="to", default=UNSET)
    """Made earlier."""


class Posts(Shape, frozen=True, kw_only=True):
    """One page."""

    posts: list[AnyPost]
    next_cursor: str | None


@endpoint
def handler(query: PostsPage, viewer: Admin) -> Posts:
    wanted = PostFilter(
        status=query.status or None,
        user_id=query.user_id or None,
        part=query.q.replace("\x00", "").strip() or None,
        since=_moment("from", query.since),
        before=_moment("to", query.before),
    )
    with audit.noted(viewer=viewer, action="list_posts", details={"filter": wanted}, answer_seconds=READ_SECONDS) as db:
        window = pages.window(query, f"all posts: {wanted!r}", viewer=viewer, start=LAST_ID)
        posts, next_cursor = window.page(administration.posts(db, wanted=wanted, window=window))
    return Posts(posts=posts, next_cursor=next_cursor)


def _moment(field: str, given: str | UnsetType) -> datetime | None:
    if given is UNSET:
        return None
    try:
        moment = datetime.fromisoformat(given)
        return moment.replace(tzinfo=moment.tzinfo or UTC)
    except ValueError:
        raise Invalid.field(field, "not a time") from None
