"""Every hour: delete stories that expired more than 60 min ago: their rows and files."""

from layers.core.limits import STORY_GRACE_SECONDS
from layers.entrypoints.schedule import on_schedule
from layers.media import story_media
from layers.postgres import stories
from layers.postgres.connection import transaction

BATCH = 200


@on_schedule
def handler() -> int:
    removed = 0
    while count := _remove_batch():
        removed += count
    return removed


def _remove_batch() -> int:
    """The number of deleted stories. Files are removed inside the transaction: if that fails, the rows stay."""
    with transaction() as db:
        story_ids = stories.delete_expired(db, older_than_seconds=STORY_GRACE_SECONDS, at_most=BATCH)
        if story_ids:
            story_media.remove(story_ids)
    return len(story_ids)
