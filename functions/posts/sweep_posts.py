"""Every minute: finish what a lost message or a service's outage has left undone."""

import time
from collections.abc import Callable

import msgspec

from layers.core import admission, limits, live
from layers.core.errors import BadPicture, StoreUnavailable
from layers.core.events import Note, PostPublished
from layers.core.logging import logger
from layers.core.schedule import on_schedule
from layers.media import photos, remains, renditions
from layers.postgres import abandoned_files, feeds, outbox, posts, repeats, sessions
from layers.postgres.connection import autocommit, transaction
from layers.rabbitmq import publishing
from layers.valkey import timelines

STUCK_SECONDS = 20
"""A post is promised within 120 s: found at the latest by the run 60 s later, it leaves 40 s for those before it."""
NOTE_SECONDS = 10
GIVE_UP_SECONDS = 90
"""A picture this old has failed in the queue's four tries, or in an earlier run."""
REMAINS_SECONDS = 60
ABANDONED_SECONDS = 120
"""Longer than any request: whoever was storing files has stored them."""
REVOCATION_SECONDS = 60
"""Longer than any transaction: a revocation this old was among those just applied."""

_WORK_SECONDS = 25
"""No picture is begun later in a run: the function's Timeout is 55 s, and one picture may take 25."""
_PICTURES, _NOTES, _POSTS = 200, 1000, 100


@on_schedule
def handler() -> dict[str, int | str]:
    ends_at = time.monotonic() + _WORK_SECONDS
    parts = {
        "sessions": _end_sessions,
        "keys": _forget_keys,
        "notes": _relay_notes,
        "pictures": _finish_pictures,
        "remains": _clear_remains,
        "abandoned": _clear_abandoned,
    }
    return {name: _alone(part, ends_at) for name, part in parts.items()}


def _alone(part: Callable[[float], int], ends_at: float) -> int | str:
    """How much a part did; what stops one stops no other."""
    try:
        return part(ends_at)
    except StoreUnavailable as error:
        return f"{error.store} is away"
    except Exception as error:  # noqa: BLE001 (whatever it is, the other parts go on)
        logger().exception("a part of the sweep failed")
        return type(error).__name__


def _end_sessions(_ends_at: float) -> int:
    """Valkey forgets the sessions that were revoked while it was away."""
    revocations = admission.register().revocations()
    admission.gate().revoke(revocations)
    with transaction() as db:
        sessions.clear(db, revocations_older_than_seconds=REVOCATION_SECONDS)
    return len(revocations)


def _forget_keys(_ends_at: float) -> int:
    """Idempotency keys whose day is over."""
    with autocommit() as db:
        return repeats.clear(db)


def _relay_notes(ends_at: float) -> int:
    """Events that could not be published right after their commit."""
    with transaction() as db:
        waiting = outbox.waiting(db, older_than_seconds=NOTE_SECONDS, at_most=_NOTES)
        passed_on = [note.id for note in waiting if time.monotonic() < ends_at and _passed_on(note)]
        outbox.remove(db, note_ids=passed_on)
    return len(passed_on)


def _passed_on(note: Note) -> bool:
    """Whether the event went to its queue, or, with the broker away, a new post reached the timelines from here."""
    if publishing.send(note):
        return True
    if note.queue != PostPublished.queue:
        return False
    published = msgspec.json.decode(note.body, type=PostPublished)
    try:
        timelines.publish(published.post_id, published.author_id, feeds.audience(published.author_id))
    except StoreUnavailable as error:
        if error.store == "valkey":
            return False
        raise
    live.tell([published.author_id], live.PostProcessed(post_id=published.post_id, status="published"))
    return True


def _finish_pictures(ends_at: float) -> int:
    """Pictures that wait although their files are there."""
    with autocommit() as db:
        waiting = posts.unfinished(db, older_than_seconds=STUCK_SECONDS, at_most=_PICTURES)
    finished = 0
    for picture in waiting:
        if time.monotonic() >= ends_at:
            break
        finished += _finish(picture)
    return finished


def _finish(picture: posts.Unfinished) -> bool:
    """Render one and publish its post if it was the last. The queue may be at the same picture: both are harmless."""
    with autocommit() as db:
        if posts.state(db, post_id=picture.post_id) != "processing":
            return False  # the queue was faster
    photo = _rendered(picture)
    if photo is None:
        return False
    photos.write_renditions(picture.post_id, picture.order_index, photo)
    with transaction() as db:
        note = posts.finish_picture(
            db, post_id=picture.post_id, order_index=picture.order_index, width=photo.width, height=photo.height
        )
        state = posts.state(db, post_id=picture.post_id)
    if note and _passed_on(note):
        with autocommit() as db:
            outbox.remove(db, note_ids=[note.id])
    if state == "deleted":  # meanwhile, and what was stored after that is nobody's
        photos.taken_back(picture.post_id, picture.order_index, picture.original_key)
    return True


def _rendered(picture: posts.Unfinished) -> renditions.Photo | None:
    """The picture's files, None for one that cannot be made now or, then it has failed, ever."""
    original = photos.read_original(picture.original_key)
    if original is None:
        if picture.age_seconds >= limits.UNARRIVED_SECONDS:
            _fail(picture, "The picture never arrived.")
        return None
    try:
        return renditions.render_photo(original)
    except BadPicture as error:
        _fail(picture, str(error))
    except Exception:  # noqa: BLE001 (whatever it is, the other pictures go on)
        logger().exception("a picture cannot be rendered", post_id=str(picture.post_id))
        if picture.age_seconds >= GIVE_UP_SECONDS:
            _fail(picture, "The picture could not be processed.")
    return None


def _fail(picture: posts.Unfinished, reason: str) -> None:
    with transaction() as db:
        author_id = posts.fail_picture(db, post_id=picture.post_id, order_index=picture.order_index, reason=reason)
    if author_id:
        live.tell([author_id], live.PostProcessed(post_id=picture.post_id, status="failed"))


def _clear_remains(ends_at: float) -> int:
    """Files of deleted posts that could not be removed at once."""
    with autocommit() as db:
        waiting = posts.remains(db, older_than_seconds=REMAINS_SECONDS, at_most=_POSTS)
    cleared = 0
    for each in waiting:
        if time.monotonic() < ends_at and photos.removed(each.post_id, each.original_keys):
            posts.media_removed(post_id=each.post_id)
            cleared += 1
    return cleared


def _clear_abandoned(ends_at: float) -> int:
    """Files whose rows are gone, stored by requests that were under way then."""
    cleared = 0
    while time.monotonic() < ends_at and _cleared_some():
        cleared += 1
    return cleared


def _cleared_some() -> bool:
    """Files go inside the transaction: if they cannot, the row stays, and nobody takes the files up again meanwhile."""
    with transaction() as db:
        abandoned = abandoned_files.oldest(db, older_than_seconds=ABANDONED_SECONDS)
        if abandoned:
            remains.remove(abandoned.keys)
            abandoned_files.remove(db, abandoned=abandoned)
    return abandoned is not None
