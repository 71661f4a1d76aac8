"""GET /api/v1/users/me/follow-requests: list the pending requests to follow the caller, newest first."""

from layers.core import pages
from layers.core.models import Page, Requester, Shape, Viewer
from layers.core.pages import NEWEST_FIRST
from layers.entrypoints.endpoint import endpoint
from layers.postgres import follows
from layers.postgres.connection import autocommit


class FollowRequests(Shape, frozen=True, kw_only=True):
    """A page of requests."""

    requests: list[Requester]
    next_cursor: str | None


@endpoint
def handler(query: Page, viewer: Viewer) -> FollowRequests:
    window = pages.window(query, "follow requests", viewer=viewer, start=NEWEST_FIRST)
    with autocommit() as db:
        rows = follows.list_requests(db, user_id=viewer.id, window=window)
    requesters, next_cursor = window.page(rows)
    return FollowRequests(requests=requesters, next_cursor=next_cursor)
