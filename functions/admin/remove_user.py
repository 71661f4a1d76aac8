"""DELETE /api/v1/admin/users/{user}: ban an account, or remove it with all its content."""

from typing import Literal
from uuid import UUID

from layers.core.models import Admin, Done, Shape
from layers.entrypoints.endpoint import endpoint
from layers.services import account_bans, account_removal


class RemovalMode(Shape, frozen=True, kw_only=True):
    """`ban` keeps the data, which only admins can still see. `delete` removes the account and all its data."""

    mode: Literal["ban", "delete"] = "ban"


class TargetUser(Shape, frozen=True, kw_only=True):
    """The account and its new state."""

    id: UUID
    username: str
    status: Literal["banned", "deleted"]


class UserRemoval(Done, frozen=True, kw_only=True):
    """The result; `idempotent` is true if the account was already banned."""

    user: TargetUser


@endpoint
def handler(user: UUID, query: RemovalMode, viewer: Admin) -> UserRemoval:
    banned = account_bans.ban(user, viewer, mode=query.mode)
    if query.mode == "ban":
        target = TargetUser(id=user, username=banned.username, status="banned")
        return UserRemoval(message="The account is banned.", idempotent=not banned.is_new, user=target)
    removed = account_removal.remove(user, viewer)
    target = TargetUser(id=user, username=removed.username, status="deleted")
    return UserRemoval(message="The account is removed.", idempotent=False, user=target)
