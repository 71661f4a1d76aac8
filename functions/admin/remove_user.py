"""DELETE /api/v1/admin/users/{user}: ban an account, or remove it with all that is its."""

from typing import Literal
from uuid import UUID

from layers.core import admission
from layers.core.admission import Revocation
from layers.core.clock import now
from layers.core.endpoint import endpoint
from layers.core.errors import Invalid
from layers.core.events import AccountRemoved, Note
from layers.core.models import Admin, Done, Shape
from layers.media import remains
from layers.postgres import abandoned_files, audit, bans, outbox, removals, sessions
from layers.postgres.connection import retried
from layers.postgres.removals import Removed
from layers.rabbitmq import publishing
from layers.valkey import fragments


class Way(Shape, frozen=True, kw_only=True):
    """`ban` keeps all data, unseen by all but admins; `delete` keeps nothing."""

    mode: Literal["ban", "delete"] = "ban"


class Target(Shape, frozen=True, kw_only=True):
    """The account and what became of it."""

    id: UUID
    username: str
    status: Literal["banned", "deleted"]


class Outcome(Done, frozen=True, kw_only=True):
    """What happened; `idempotent` is true for an account that was banned before."""

    user: Target


@endpoint
def handler(user: UUID, query: Way, viewer: Admin) -> Outcome:
    banned = _banned(user, viewer, query)
    if query.mode == "ban":
        target = Target(id=user, username=banned.username, status="banned")
        return Outcome(message="The account is banned.", idempotent=not banned.is_new, user=target)
    removed = _removed(user, viewer)
    target = Target(id=user, username=removed.username, status="deleted")
    return Outcome(message="The account is gone.", idempotent=False, user=target)


def _banned(user_id: UUID, viewer: Admin, asked: Way) -> bans.Changed:
    with audit.noted(viewer=viewer, action="ban_user", target_id=user_id, details={"mode": asked.mode}) as db:
        if user_id == viewer.id:
            raise Invalid.field("user", "you cannot ban or remove yourself")
        banned = bans.begin(db, user_id=user_id)
        note = outbox.add(db, banned.profile)
    _told(banned.revocation, note)
    return banned


def _removed(user_id: UUID, viewer: Admin) -> Removed:
    """The rows go, with the names of their files kept; then the files, and by the sweeper once more."""
    removed, keys, note = retried(lambda: _without_rows(user_id, viewer))
    _told(removed.revocation, note)
    fragments.all_counted({counts.post_id: counts for counts in removed.counts})
    remains.removed(keys)
    return removed


def _without_rows(user_id: UUID, viewer: Admin) -> tuple[Removed, list[str], Note]:
    with audit.noted(viewer=viewer, action="delete_user", target_id=user_id) as db:
        removed = removals.remove(db, user_id=user_id)
        posts = {post.id: post.original_keys for post in removed.posts}
        keys = remains.of_account(user_id, posts=posts, story_ids=removed.story_ids)
        uploads = remains.of_uploads(removed.upload_ids)
        abandoned_files.add(db, keys=keys)
        abandoned_files.add(db, keys=uploads, writable_until=removed.uploads_end)
        note = outbox.add(db, AccountRemoved(user_id=user_id, removed_at=now()))
    return removed, keys + uploads, note


def _told(revocation: Revocation, note: Note) -> None:
    if admission.revoke(revocation):
        sessions.forget(revocation)
    if publishing.send(note):
        outbox.forget(note)
