"""GET /api/v1/auth/me: the caller's own account."""

from layers.core import copies
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
    def read() -> UserSelf:
        with autocommit() as db:
            return users.read_self(db, user_id=viewer.id)

    try:
        return Me(user=copies.read_or_kept(f"user:{viewer.id}:self", UserSelf, read))
    except UserNotFound:
        raise SignInRequired from None
