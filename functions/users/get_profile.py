"""GET /api/v1/users/{user}: an account's header, by name or id."""

from layers.core.endpoint import endpoint
from layers.core.models import Shape, UserProfile, UserRef, Viewer
from layers.postgres import users
from layers.postgres.connection import autocommit


class Profile(Shape, frozen=True, kw_only=True):
    """The account."""

    user: UserProfile


@endpoint
def handler(user: UserRef, viewer: Viewer | None) -> Profile:
    with autocommit() as db:
        return Profile(user=users.read_profile(db, ref=user, viewer=viewer))
