"""GET /api/v1/admin/posts: list the posts of all accounts in any state, newest first."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from layers.core import pages
from layers.core.errors import Invalid
from layers.core.models import Admin, Page, Shape
from layers.core.pages import LAST_ID
from layers.entrypoints.endpoint import endpoint
from layers.postgres import administration
from layers.postgres.administration import AnyPost, AnyPostStatus, PostFilter
from layers.postgres.connection import READ_SECONDS
from layers.services import admin_actions

type IsoTime = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class PostsPage(Page, frozen=True, kw_only=True):
    """The filters; one that is not given matches all posts."""

    status: AnyPostStatus | UnsetType = UNSET
    user_id: UUID | UnsetType = msgspec.field(name="userId", default=UNSET)
    """The author's id."""
    q: str = ""
    """A part of the caption; case is ignored."""
    since: IsoTime | UnsetType = msgspec.field(name="from", default=UNSET)
    """Created at this time or later; a time without a zone is UTC."""
    before: IsoTime | UnsetType = msgspec.field(name="to", default=UNSET)
    """Created before this time; a time without a zone is UTC."""


class Posts(Shape, frozen=True, kw_only=True):
    """A page of posts."""

    posts: list[AnyPost]
    next_cursor: str | None


@endpoint
def handler(query: PostsPage, viewer: Admin) -> Posts:
    conditions = PostFilter(
        status=query.status or None,
        user_id=query.user_id or None,
        part=query.q.replace("\x00", "").strip() or None,
        since=_parse_time("from", query.since),
        before=_parse_time("to", query.before),
    )
    with admin_actions.audited_transaction(
        viewer=viewer, action="list_posts", details={"filter": conditions}, answer_seconds=READ_SECONDS
    ) as db:
        window = pages.window(query, f"all posts: {conditions!r}", viewer=viewer, start=LAST_ID)
        posts, next_cursor = window.page(administration.list_posts(db, conditions=conditions, window=window))
    return Posts(posts=posts, next_cursor=next_cursor)


def _parse_time(field: str, given: str | UnsetType) -> datetime | None:
    if given is UNSET:
        return None
    try:
        time = datetime.fromisoformat(given)
    except ValueError:
        raise Invalid.field(field, "must be a time in ISO 8601") from None
    return time.replace(tzinfo=time.tzinfo or UTC)
