"""The sweeper: what lost messages and outages left undone is done a minute later."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from functions.feed import get_feed
from functions.posts import delete_post, get_post, like_post, sweep_posts
from layers.core import limits
from layers.core.errors import PostNotFound, StoreUnavailable
from layers.core.events import PostPublished, ProfileUpdated
from layers.core.ids import floor_of, new_id
from layers.core.models import Time
from layers.core.settings import settings
from layers.media import connection as media
from layers.postgres import audit, outbox, posts, sessions
from layers.postgres.connection import autocommit, transaction
from layers.rabbitmq import connection as broker
from layers.valkey import connection as valkey
from tests.support import services
from tests.support.calls import call
from tests.support.people import Person, follow
from tests.support.uploads import Begun, begin, picture, put
from tests.support.waiting import until

AWAY = {
    "rabbitmq": ("RABBITMQ_URL", "amqp://a:b@127.0.0.1:9/%2F"),
    "valkey": ("VALKEY_URL", "redis://127.0.0.1:9/0"),
    "storage": ("S3_ENDPOINT_URL", "http://127.0.0.1:9"),
}
OLD = sweep_posts.STUCK_SECONDS + 1


def forget_connections() -> None:
    settings.cache_clear()
    broker.close()
    valkey.close()
    media.close()


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """A store that cannot be reached for a while."""
    store: str = request.param
    monkeypatch.setenv(*AWAY[store])
    forget_connections()
    yield store
    monkeypatch.undo()
    forget_connections()
    until(lambda: all(isinstance(done, int) for done in sweep().values()), seconds=15, every=0.5)
    until(broker_answers, seconds=15, every=0.5)


def broker_answers() -> bool:
    try:
        return broker.queue_depth(PostPublished.queue) >= 0
    except StoreUnavailable:
        return False


@pytest.fixture(scope="module", autouse=True)
def no_other_sweeper() -> Iterator[None]:
    """These tests look at what is not done yet; the stack's own sweeper would do it."""
    with services.stop_if_running("triggers"):
        yield


def sweep() -> dict[str, int | str]:
    done: dict[str, int | str] = sweep_posts.handler({"id": "sweep"}, None)
    return done


def shown(viewer: Person) -> list[str]:
    """The posts of the home feed."""
    return [post["id"] for post in call(get_feed, session_id=viewer.session_id).json["posts"]]


def waiting_notes(user_id: UUID) -> int:
    with transaction() as db:
        row = db.execute("SELECT count(*) FROM outbox WHERE body->>'user_id' = %s", [str(user_id)]).fetchone()
    assert row
    return int(row[0])


def test_a_post_whose_events_were_lost_is_published(ada: Person) -> None:
    post = begin(ada, picture(), picture(), seconds=OLD)
    sweep()

    assert (post.status, post.files, post.author_posts) == ("published", post.all_files, 1)
    assert post.notes == 0


def test_a_young_post_is_left_to_the_queue(ada: Person) -> None:
    post = begin(ada, picture())
    sweep()

    assert post.status == "processing"


@pytest.mark.parametrize("away", ["rabbitmq"], indirect=True)
def test_with_rabbitmq_stopped_a_stuck_post_reaches_its_followers_feeds(ada: Person, grace: Person, away: str) -> None:
    follow(grace, ada)
    assert shown(grace) == []
    post = begin(ada, picture(), seconds=OLD)
    sweep()

    assert post.status == "published"
    assert shown(grace) == [str(post.id)]
    assert post.notes == 0


@pytest.mark.parametrize("away", ["rabbitmq"], indirect=True)
def test_with_rabbitmq_down_a_published_post_without_an_event_reaches_its_followers_feeds(
    ada: Person, grace: Person, away: str
) -> None:
    follow(grace, ada)
    assert shown(grace) == []
    post = begin(ada, picture())
    with transaction() as db:
        posts.finish_picture(db, post_id=post.id, order_index=0, width=60, height=40)
    post.grow_older(sweep_posts.EVENT_SECONDS + 1)
    sweep()

    assert shown(grace) == [str(post.id)]
    assert post.notes == 0


@pytest.mark.parametrize("away", ["rabbitmq"], indirect=True)
def test_other_events_wait_for_the_broker(ada: Person, away: str) -> None:
    event = ProfileUpdated(
        user_id=new_id(),
        username="x",
        display_name="X",
        profile_picture_url=None,
        updated_at=Time("2026-11-23T10:00:00Z"),
    )
    with transaction() as db:
        note = outbox.add(db, event)
        db.execute("UPDATE outbox SET created_at = created_at - interval '1 min' WHERE id = %s", [note.id])
    sweep()

    assert waiting_notes(event.user_id) == 1


def test_events_left_in_the_outbox_are_published_and_removed(ada: Person) -> None:
    event = ProfileUpdated(
        user_id=new_id(),
        username="x",
        display_name="X",
        profile_picture_url=None,
        updated_at=Time("2026-11-23T10:00:00Z"),
    )
    with transaction() as db:
        young = outbox.add(db, event)
    sweep()
    assert waiting_notes(event.user_id) == 1
    with transaction() as db:
        db.execute("UPDATE outbox SET created_at = created_at - interval '1 min' WHERE id = %s", [young.id])
    sweep()

    assert waiting_notes(event.user_id) == 0


def test_a_picture_that_was_never_stored_fails_after_five_minutes_with_a_reason(ada: Person) -> None:
    late = begin(ada, picture(), None, seconds=limits.MISSING_FILE_SECONDS - 30)
    never = begin(ada, None, seconds=limits.MISSING_FILE_SECONDS + 1)
    sweep()

    assert (late.status, never.status, never.failure) == ("processing", "failed", "The picture never arrived.")
    put([(late.keys[1], picture())])
    sweep()
    assert late.status == "published"


def test_a_broken_picture_fails_at_once_and_its_neighbours_pass(ada: Person) -> None:
    whole = picture()
    broken = begin(ada, whole[: len(whole) // 2], seconds=OLD + 10)
    good = begin(ada, whole, seconds=OLD)
    sweep()

    assert (broken.status, good.status) == ("failed", "published")
    assert broken.failure


def test_a_post_deleted_while_it_waited_stays_deleted_and_keeps_no_files(ada: Person) -> None:
    post = begin(ada, picture(), seconds=OLD)
    call(delete_post, session_id=ada.session_id, path={"post_id": post.id})
    sweep()

    assert (post.status, post.files) == ("deleted", set())


@pytest.mark.parametrize("away", ["storage"], indirect=True)
def test_with_the_store_down_nothing_fails_and_all_else_goes_on(ada: Person, away: str) -> None:
    stuck = begin_rows(ada, limits.MISSING_FILE_SECONDS + 60)
    session_id = sessions_revoked(ada)
    done = sweep()

    assert done["pictures"] == "storage is unavailable"
    assert all(isinstance(done[part], int) for part in ("sessions", "events"))
    assert stuck.status == "processing"
    assert session_id not in still_revoked()


@pytest.mark.parametrize("away", ["valkey"], indirect=True)
def test_with_valkey_down_posts_are_published_all_the_same(ada: Person, away: str) -> None:
    post = begin(ada, picture(), seconds=OLD)
    session_id = sessions_revoked(ada)
    done = sweep()

    assert done["sessions"] == "valkey is unavailable"
    assert post.status == "published"
    assert session_id in still_revoked()


def test_files_of_a_deleted_post_that_could_not_be_removed_are_removed_later(ada: Person) -> None:
    post = begin(ada, picture(), picture(), seconds=OLD)
    sweep()
    assert post.files == post.all_files
    with transaction() as db:
        posts.delete(db, post_id=post.id, viewer=ada.viewer)
    sweep()
    assert post.files == post.all_files
    post.grow_older(sweep_posts.STORED_SECONDS + 1)
    sweep()

    assert post.files == set()
    assert not any(media.exists(key) for key in post.keys)


def test_files_stored_by_a_request_that_outlasted_the_deletion_are_removed_later(ada: Person) -> None:
    post = begin(ada, picture(), seconds=OLD)
    assert call(delete_post, session_id=ada.session_id, path={"post_id": post.id}).status == 200
    media.put_all([media.StoredFile(key, picture(), "image/jpeg") for key in (*post.all_files, *post.keys)])
    sweep()
    assert post.files == post.all_files
    post.grow_older(sweep_posts.STORED_SECONDS + 1)
    sweep()

    assert post.files == set()
    assert not any(media.exists(key) for key in post.keys)


def test_the_rows_of_a_deleted_post_are_removed_after_thirty_days_and_not_before_its_files(
    ada: Person, grace: Person
) -> None:
    day = 24 * 60 * 60
    post, other = begin(ada, picture(), seconds=OLD), begin(ada, picture(), seconds=OLD)
    sweep()
    assert call(like_post, path={"post_id": post.id}, session_id=grace.session_id).status == 200
    with transaction() as db:
        posts.delete(db, post_id=post.id, viewer=ada.viewer)
    post.grow_older(sweep_posts.STORED_SECONDS + 1)
    sweep()
    post.grow_older(29 * day)
    sweep()
    assert post.status == "deleted"
    post.grow_older(day + 60)
    sweep()

    with pytest.raises(PostNotFound):
        _ = post.status
    assert other.status == "published"
    assert call(get_post, path={"post_id": post.id}, session_id=ada.session_id).status == 404


def test_audit_entries_are_removed_after_a_year(admin: Person) -> None:
    moments = {age: floor_of(datetime.now(UTC) - timedelta(days=age)) for age in (364, 366)}
    with transaction() as db:
        for id_ in moments.values():
            values = {"id": id_, "admin_id": admin.id, "action": "test", "target_id": None, "details": "{}"}
            db.execute(audit.RECORD, values | {"trace_id": None})
    sweep()
    with transaction() as db:
        found = db.execute("SELECT id FROM audit WHERE admin_id = %s", [admin.id]).fetchall()

    assert found == [(moments[364],)]


def test_a_session_revoked_while_valkey_was_down_is_forgotten_there(ada: Person) -> None:
    assert call(get_feed, session_id=ada.session_id).status == 200
    with transaction() as db:
        sessions.end(db, session_id=ada.session_id)
    sweep()

    assert call(get_feed, session_id=ada.session_id).status == 401


def test_two_sweeps_at_once_and_the_queues_own_work_are_harmless(ada: Person) -> None:
    post = begin(ada, picture(), seconds=OLD)
    sweep()
    sweep()
    with transaction() as db:
        assert posts.finish_picture(db, post_id=post.id, order_index=0, width=60, height=40) is None

    assert (post.status, post.author_posts) == ("published", 1)


def begin_rows(author: Person, seconds: float) -> Begun:
    """A post that waits while the object store is down."""
    return begin(author, None, seconds=seconds)


def sessions_revoked(person: Person) -> str:
    """A session that was revoked some minutes ago and is still in Valkey."""
    with transaction() as db:
        session_id = sessions.start(db, user_id=person.id)
        sessions.end(db, session_id=session_id)
        db.execute(
            "UPDATE revocations SET created_at = created_at - interval '5 min' WHERE session_id = %s", [session_id]
        )
    return session_id


def still_revoked() -> set[str | None]:
    with autocommit() as db:
        return {revocation.session_id for revocation in sessions.read_revocations(db)}
