"""Every hour: remove uploads that are an hour old, rows and files together: unused ones and the rest of used ones."""

from layers.core.limits import UPLOAD_KEPT_SECONDS
from layers.core.schedule import on_schedule
from layers.media import uploads as files
from layers.postgres import uploads
from layers.postgres.connection import transaction

BATCH = 500


@on_schedule
def handler() -> int:
    removed = 0
    while count := _remove_batch():
        removed += count
    return removed


def _remove_batch() -> int:
    """Files go inside the transaction: if they cannot, the rows stay for the next hour."""
    with transaction() as db:
        upload_ids = uploads.delete_old(db, older_than_seconds=UPLOAD_KEPT_SECONDS, at_most=BATCH)
        if upload_ids:
            files.remove(upload_ids)
    return len(upload_ids)
