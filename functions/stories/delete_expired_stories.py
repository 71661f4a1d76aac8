"""Every hour: remove stories an hour past their end, row and media together."""

from layers.core.limits import STORY_GRACE_SECONDS
from layers.core.schedule import on_schedule
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
    """Media goes inside the transaction: if it cannot, the rows stay for the next hour."""
    with transaction() as db:
        story_ids = stories.delete_expired(db, older_than_seconds=STORY_GRACE_SECONDS, at_most=BATCH)
        if story_ids:
            story_media.remove(story_ids)
    return len(story_ids)
