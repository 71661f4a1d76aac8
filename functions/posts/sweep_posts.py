"""Every minute: finish work that a lost message or an outage left unfinished, and remove what is kept no longer."""

import time
from collections.abc import Callable
from typing import Final

from layers.core import limits
from layers.core.errors import StoreUnavailable
from layers.core.logging import logger
from layers.entrypoints.schedule import on_schedule
from layers.media import account_files
from layers.postgres import abandoned_files, audit, idempotency_keys, posts, sessions
from layers.postgres.connection import autocommit, transaction
from layers.postgres.posts import UnfinishedPicture
from layers.services import post_removal, publication, relay
from layers.services import sessions as session_service
from layers.services.publication import PostPicture

STUCK_SECONDS: Final = 20
"""The age at which a picture is processed here. Its post must be published within 120 s: a run finds it at most 60 s
later, which leaves 40 s for the pictures before it.
"""
EVENT_SECONDS: Final = 10
"""The age at which an event is published here; younger ones are published by their requests."""
GIVE_UP_SECONDS: Final = 90
"""The age at which a picture that cannot be processed fails its post: by then all four attempts of the queue, or an
earlier run, have failed.
"""
STORED_SECONDS: Final = 120
"""Longer than any invocation lasts that stores files: files without rows, or of deleted posts, are removed here when
their rows were removed, or their posts deleted, so long ago.
"""
REVOCATION_SECONDS: Final = 60
"""Longer than any transaction lasts, so that a revocation of this age was among those just applied."""

_WORK_SECONDS: Final = 25
"""The time after which a run begins no more pictures: its timeout is 55 s, and one picture may take 25 s."""
_PICTURES, _EVENTS, _DELETED, _FORGOTTEN = 200, 1000, 1000, 100


@on_schedule
def handler() -> dict[str, int | str]:
    ends_at = time.monotonic() + _WORK_SECONDS
    parts = {
        "sessions": _apply_revocations,
        "keys": _delete_old_keys,
        "events": _publish_events,
        "pictures": _process_pictures,
        "deleted": _remove_files_of_deleted,
        "abandoned": _remove_abandoned_files,
        "forgotten": _forget_deleted,
        "audit": _delete_old_audit,
    }
    return {name: _run(part, ends_at) for name, part in parts.items()}


def _run(part: Callable[[float], int], ends_at: float) -> int | str:
    """The number of things that a part finished, or its error; an error in one part does not stop the others."""
    try:
        return part(ends_at)
    except StoreUnavailable as error:
        return f"{error.store} is unavailable"
    except Exception as error:  # noqa: BLE001 (the other parts go on)
        logger().exception("a part of the sweep failed")
        return type(error).__name__


def _apply_revocations(_ends_at: float) -> int:
    """End sessions in Valkey that were revoked while it was unavailable."""
    applied = session_service.apply_all_revocations()
    with transaction() as db:
        sessions.delete_expired(db, revocations_older_than_seconds=REVOCATION_SECONDS)
    return applied


def _delete_old_keys(_ends_at: float) -> int:
    with autocommit() as db:
        return idempotency_keys.delete_old(db)


def _publish_events(ends_at: float) -> int:
    return relay.publish_waiting(older_than_seconds=EVENT_SECONDS, at_most=_EVENTS, ends_at=ends_at)


def _process_pictures(ends_at: float) -> int:
    """Process pictures whose message was lost. If the queue processes the same picture, the result is the same."""
    with autocommit() as db:
        waiting = posts.list_unfinished(db, older_than_seconds=STUCK_SECONDS, at_most=_PICTURES)
    processed = 0
    for picture in waiting:
        if time.monotonic() >= ends_at:
            break
        processed += _process(picture)
    return processed


def _process(unfinished: UnfinishedPicture) -> bool:
    picture = PostPicture(
        post_id=unfinished.post_id, order_index=unfinished.order_index, original_key=unfinished.original_key
    )
    try:
        return publication.process_picture(picture)
    except LookupError:  # the original is not stored, or not yet
        if unfinished.age_seconds >= limits.MISSING_FILE_SECONDS:
            publication.fail_picture(picture, "The picture never arrived.")
    except Exception as error:
        if isinstance(error, StoreUnavailable) and error.is_outage:
            raise
        logger().exception("a picture cannot be processed", post_id=str(picture.post_id))
        if unfinished.age_seconds >= GIVE_UP_SECONDS:
            publication.fail_picture(picture, publication.FAILURE)
    return False


def _remove_files_of_deleted(ends_at: float) -> int:
    """Remove files of deleted posts that could not be removed at once, or were stored after that."""
    with autocommit() as db:
        waiting = posts.list_deleted_with_media(db, older_than_seconds=STORED_SECONDS, at_most=_DELETED)
    removed = 0
    for each in waiting:
        if time.monotonic() >= ends_at:
            break
        removed += post_removal.remove_files_again(each.post_id, each.original_keys)
    return removed


def _forget_deleted(_ends_at: float) -> int:
    """Remove the rows of posts that were deleted long ago."""
    with autocommit() as db:
        return posts.forget_deleted(db, at_most=_FORGOTTEN)


def _delete_old_audit(_ends_at: float) -> int:
    with autocommit() as db:
        return audit.delete_old(db, at_most=_EVENTS)


def _remove_abandoned_files(ends_at: float) -> int:
    """Remove files without rows, stored by requests that were being processed when the rows were removed."""
    removed = 0
    while time.monotonic() < ends_at and _remove_batch():
        removed += 1
    return removed


def _remove_batch() -> bool:
    """Files are removed inside the transaction: if that fails, their names are kept."""
    with transaction() as db:
        abandoned = abandoned_files.lock_oldest(db, older_than_seconds=STORED_SECONDS)
        if abandoned:
            account_files.remove(abandoned.keys)
            abandoned_files.remove(db, abandoned=abandoned)
    return abandoned is not None
