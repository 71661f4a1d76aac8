"""GET /api/v1/admin/stats: return counts of all objects; a count that cannot be read now is null."""

from collections.abc import Callable

from layers.core.clock import now
from layers.core.errors import StoreUnavailable
from layers.core.events import QUEUES
from layers.core.models import Admin, Shape, Time
from layers.entrypoints.endpoint import endpoint
from layers.media import usage
from layers.postgres import administration
from layers.postgres.administration import RowCounts
from layers.postgres.connection import READ_SECONDS
from layers.rabbitmq.connection import queue_depth
from layers.services import admin_actions


class QueueStats(Shape, frozen=True, kw_only=True):
    """Numbers of messages."""

    depth: int | None
    """Messages that wait in the work queues."""
    dead_letter: int | None
    """Messages in the dead-letter queues: all attempts to process them failed."""


class StorageStats(Shape, frozen=True, kw_only=True):
    """The object store."""

    bytes: int | None
    """Null until all objects are counted: a request counts for at most 2 s, and the next one continues."""


class Stats(RowCounts, frozen=True, kw_only=True):
    """All counts."""

    queue: QueueStats
    storage: StorageStats


class Overview(Shape, frozen=True, kw_only=True):
    """The counts and when they were read."""

    stats: Stats
    generated_at: Time


@endpoint
def handler(viewer: Admin) -> Overview:
    counts = _read_or_none(lambda: _read_counts(viewer)) or RowCounts()
    stats = Stats(
        users=counts.users,
        posts=counts.posts,
        stories=counts.stories,
        comments=counts.comments,
        likes=counts.likes,
        follows=counts.follows,
        sessions=counts.sessions,
        queue=QueueStats(
            depth=_read_or_none(lambda: sum(queue_depth(queue) for queue in QUEUES)),
            dead_letter=_read_or_none(lambda: sum(queue_depth(f"{queue}.dead") for queue in QUEUES)),
        ),
        storage=StorageStats(bytes=_read_or_none(usage.stored_bytes)),
    )
    return Overview(stats=stats, generated_at=now())


def _read_counts(viewer: Admin) -> RowCounts:
    with admin_actions.audited_transaction(viewer=viewer, action="read_stats", answer_seconds=READ_SECONDS) as db:
        return administration.count_rows(db)


def _read_or_none[Number](read: Callable[[], Number]) -> Number | None:
    try:
        return read()
    except (StoreUnavailable, LookupError):
        return None
