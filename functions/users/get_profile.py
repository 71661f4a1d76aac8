"""GET /api/v1/users/{user}: an account's header, by name or id."""

from layers.core import copies
from layers.core.endpoint import endpoint
from layers.core.models import Shape, UserProfile, UserRef, Viewer
from layers.postgres import users
from layers.postgres.connection import autocommit


class Profile(Shape, frozen=True, kw_only=True):
    """The account."""

    user: UserProfile


@endpoint
def handler(user: UserRef, viewer: Viewer | None) -> Profile:
    def read() -> UserProfile:
        with autocommit() as db:
            return users.read_profile(db, ref=user, viewer=viewer)

    copy = f"user:{user}:{viewer.id if viewer else 'anybody'}"
    return Profile(user=copies.read_or_kept(copy, UserProfile, read))
