"""GET /api/v1/admin/users: list all accounts, newest first."""

from msgspec import UNSET, UnsetType

from layers.core import pages
from layers.core.models import Admin, Page, Role, Shape
from layers.core.pages import LAST_ID
from layers.entrypoints.endpoint import endpoint
from layers.postgres import administration
from layers.postgres.administration import Account, AccountFilter, AccountStatus
from layers.postgres.connection import READ_SECONDS
from layers.services import admin_actions


class AccountsPage(Page, frozen=True, kw_only=True):
    """The filters; one that is not given matches all accounts."""

    q: str = ""
    """A part of the username, e-mail address or display name; case is ignored."""
    role: Role | UnsetType = UNSET
    status: AccountStatus | UnsetType = UNSET


class Accounts(Shape, frozen=True, kw_only=True):
    """A page of accounts."""

    users: list[Account]
    next_cursor: str | None


@endpoint
def handler(query: AccountsPage, viewer: Admin) -> Accounts:
    part = query.q.replace("\x00", "").strip() or None
    conditions = AccountFilter(part=part, role=query.role or None, status=query.status or None)
    with admin_actions.audited_transaction(
        viewer=viewer, action="list_users", details={"filter": conditions}, answer_seconds=READ_SECONDS
    ) as db:
        window = pages.window(query, f"all users: {conditions!r}", viewer=viewer, start=LAST_ID)
        accounts, next_cursor = window.page(administration.list_accounts(db, conditions=conditions, window=window))
    return Accounts(users=accounts, next_cursor=next_cursor)
