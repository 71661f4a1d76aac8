"""GET /api/v1/users/search/users: accounts by a part of their name, those with more followers first."""

import msgspec

from layers.core import limits
from layers.core.endpoint import endpoint
from layers.core.models import PageLimit, Shape, UserCard, Viewer
from layers.postgres import users
from layers.postgres.connection import autocommit

_SHORTEST = 2


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for: at least two characters, or nothing is found."""

    q: str = ""
    """A part of a username or display name, in any case; `%` and `_` stand for themselves."""
    limit: PageLimit = 20
    """Above 100 counts as 100."""


class Found(Shape, frozen=True, kw_only=True):
    """Private accounts too; no banned ones."""

    users: list[UserCard]


@endpoint
def handler(query: Search, viewer: Viewer | None) -> Found:
    part = query.q.replace("\x00", "").strip()
    if len(part) < _SHORTEST:
        return Found(users=[])
    with autocommit() as db:
        return Found(users=users.search(db, part=part, viewer=viewer, at_most=min(query.limit, limits.PAGE)))
