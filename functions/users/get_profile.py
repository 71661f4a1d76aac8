"""GET /api/v1/users/{user}: return an account's profile, by username or id."""

from layers.core.models import Shape, UserProfile, UserRef, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import users
from layers.services import copies


class OneProfile(Shape, frozen=True, kw_only=True):
    """The account."""

    user: UserProfile


@endpoint
def handler(user: UserRef, viewer: Viewer | None) -> OneProfile:
    name = f"user:{user}:{viewer.id if viewer else 'anybody'}"
    profile = copies.read_or_copy(name, UserProfile, lambda db: users.read_profile(db, ref=user, viewer=viewer))
    return OneProfile(user=profile)
