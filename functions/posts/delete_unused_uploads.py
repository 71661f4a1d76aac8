"""Every hour: delete uploads older than 60 min, used or not: their rows and files."""

from layers.core.limits import UPLOAD_LIFETIME_SECONDS
from layers.entrypoints.schedule import on_schedule
from layers.media import uploads as upload_files
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
    """The number of deleted uploads. Files are removed inside the transaction: if that fails, the rows stay."""
    with transaction() as db:
        upload_ids = uploads.delete_old(db, older_than_seconds=UPLOAD_LIFETIME_SECONDS, at_most=BATCH)
        if upload_ids:
            upload_files.remove(upload_ids)
    return len(upload_ids)
