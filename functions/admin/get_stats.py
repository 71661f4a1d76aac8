"""GET /api/v1/admin/stats: how many there are of everything; null is what cannot be known now."""

from collections.abc import Callable

from layers.core.clock import now
from layers.core.endpoint import endpoint
from layers.core.errors import StoreUnavailable
from layers.core.events import QUEUES
from layers.core.models import Admin, Shape, Time
from layers.media import usage
from layers.postgres import administration, audit
from layers.postgres.administration import Counts
from layers.postgres.connection import READ_SECONDS
from layers.rabbitmq.connection import depth


class Queue(Shape, frozen=True, kw_only=True):
    """Messages ready in all queues, and those that failed in every try."""

    depth: int | None
    dead_letter: int | None


class Storage(Shape, frozen=True, kw_only=True):
    """All objects of the bucket; null also when there are too many to be listed within 2 s."""

    bytes: int | None


class Stats(Counts, frozen=True, kw_only=True):
    """All numbers."""

    queue: Queue
    storage: Storage


class Overview(Shape, frozen=True, kw_only=True):
    """The numbers, and when they were looked up."""

    stats: Stats
    generated_at: Time


@endpoint
def handler(viewer: Admin) -> Overview:
    counts = _known(lambda: _counts(viewer)) or Counts()
    stats = Stats(
        users=counts.users,
        posts=counts.posts,
        stories=counts.stories,
        comments=counts.comments,
        likes=counts.likes,
        follows=counts.follows,
        sessions=counts.sessions,
        queue=Queue(
            depth=_known(lambda: sum(depth(queue) for queue in QUEUES)),
            dead_letter=_known(lambda: sum(depth(f"{queue}.dead") for queue in QUEUES)),
        ),
        storage=Storage(bytes=_known(usage.stored_bytes)),
    )
    return Overview(stats=stats, generated_at=now())


def _counts(viewer: Admin) -> Counts:
    with audit.noted(viewer=viewer, action="read_stats", answer_seconds=READ_SECONDS) as db:
        return administration.counts(db)


def _known[Number](ask: Callable[[], Number]) -> Number | None:
    try:
        return ask()
    except (StoreUnavailable, LookupError):
        return None
