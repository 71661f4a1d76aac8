"""GET /api/v1/auth/me: the caller's own account."""

from layers.core.endpoint import endpoint
from layers.core.errors import SignInRequired, UserNotFound
from layers.core.models import Shape, UserSelf, Viewer
from layers.postgres import users
from layers.postgres.connection import autocommit


class Me(Shape, frozen=True, kw_only=True):
    """The account."""

    user: UserSelf


@endpoint
def handler(viewer: Viewer) -> Me:
    try:
        with autocommit() as db:
            return Me(user=users.read_self(db, user_id=viewer.id))
    except UserNotFound:
        raise SignInRequired from None
