"""GET /api/v1/users/search/users: find accounts by a part of their name, most followers first."""

import msgspec

from layers.core import limits
from layers.core.models import PageLimit, Shape, UserCard, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import users
from layers.postgres.connection import autocommit

_SHORTEST = 2


class SearchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The text to search for."""

    q: str = ""
    """A part of a username or display name; case is ignored, and `%` and `_` are ordinary characters. Fewer than 2
    characters find nothing.
    """
    limit: PageLimit = 20
    """The number of accounts; more than 100 means 100."""


class FoundUsers(Shape, frozen=True, kw_only=True):
    """The accounts that were found: also private ones, but no banned ones."""

    users: list[UserCard]


@endpoint
def handler(query: SearchQuery, viewer: Viewer | None) -> FoundUsers:
    part = query.q.replace("\x00", "").strip()
    if not _SHORTEST <= len(part) <= limits.DISPLAY_NAME_LENGTH:
        return FoundUsers(users=[])
    with autocommit() as db:
        return FoundUsers(users=users.search(db, part=part, viewer=viewer, at_most=min(query.limit, limits.PAGE_ROWS)))
