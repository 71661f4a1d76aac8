"""POST /api/v1/admin/users/{user}/unban: end a ban; the account can sign in and is visible again."""

from uuid import UUID

from layers.core.models import Admin, Done
from layers.entrypoints.endpoint import endpoint
from layers.services import account_bans


@endpoint
def handler(user: UUID, viewer: Admin) -> Done:
    unbanned = account_bans.unban(user, viewer)
    return Done(message="The account is not banned.", idempotent=not unbanned.is_new)
