"""GET /api/v1/auth/me: return the caller's own account."""

from layers.core.errors import SignInRequired, UserNotFound
from layers.core.models import Shape, UserSelf, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import users
from layers.services import copies


class Me(Shape, frozen=True, kw_only=True):
    """The caller's account."""

    user: UserSelf


@endpoint
def handler(viewer: Viewer) -> Me:
    try:
        account = copies.read_or_copy(
            f"user:{viewer.id}:self", UserSelf, lambda db: users.read_self(db, user_id=viewer.id)
        )
    except UserNotFound:
        raise SignInRequired from None
    return Me(user=account)
