"""Removing an account and everything that belongs to it, in all stores."""

from uuid import UUID

import msgspec

from layers.core.clock import now
from layers.core.events import AccountRemoved, OutboxEvent
from layers.core.models import Admin
from layers.media import account_files
from layers.postgres import abandoned_files, outbox, removals
from layers.postgres.connection import retry_on_deadlock
from layers.postgres.removals import RemovedAccount
from layers.services import admin_actions, relay, sessions
from layers.valkey import fragments


def remove(user_id: UUID, admin: Admin) -> RemovedAccount:
    """Remove an account that is banned, with its content, files and relations.

    The keys of its files are recorded in the same transaction. Files that cannot be removed now, or that a running
    request stores later, are removed by the sweeper. Raises `NotAllowed` for the account of an admin, `UserNotFound`,
    and `StoreUnavailable`.
    """
    removal = retry_on_deadlock(lambda: _remove_rows(user_id, admin))
    sessions.apply_revocation(removal.account.revocation)
    relay.publish(removal.event)
    fragments.update_all_counts(removal.account.counts)
    account_files.try_remove(removal.keys)
    return removal.account


class _Removal(msgspec.Struct, frozen=True):
    account: RemovedAccount
    keys: list[str]
    event: OutboxEvent


def _remove_rows(user_id: UUID, admin: Admin) -> _Removal:
    with admin_actions.audited_transaction(viewer=admin, action="delete_user", target_id=user_id) as db:
        account = removals.remove_account(db, user_id=user_id)
        posts = {post.id: post.original_keys for post in account.posts}
        keys = account_files.keys_of_account(posts=posts, story_ids=account.story_ids, avatar_id=account.avatar_id)
        uploads = account_files.keys_of_uploads(account.upload_ids)
        abandoned_files.add(db, keys=keys)
        abandoned_files.add(db, keys=uploads, kept_until=account.uploads_end)
        event = outbox.add(db, AccountRemoved(user_id=user_id, removed_at=now()))
    return _Removal(account=account, keys=keys + uploads, event=event)
