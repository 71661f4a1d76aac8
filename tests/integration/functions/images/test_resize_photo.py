"""The image job: messages that come once, twice, too early, too late, or that never succeed."""

import re
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.images import resize_photo
from functions.posts import create_post, delete_post
from layers.core import trace
from layers.core.ids import new_id
from layers.core.settings import settings
from layers.media import connection as media
from layers.media import photos
from layers.postgres import connection as postgres
from layers.postgres import outbox, posts
from layers.postgres.connection import transaction
from layers.rabbitmq import connection as broker
from layers.services import turns
from tests.support.calls import Form, Upload, call
from tests.support.deliveries import deliver
from tests.support.logs import capture_log
from tests.support.people import Person
from tests.support.proxies import Proxies
from tests.support.queues import count_ready, take, watch_notifications
from tests.support.uploads import begin, picture
from tests.support.waiting import until


@pytest.fixture
def only_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The function takes originals that the store notifies nobody of, so that no other worker processes them."""
    monkeypatch.setattr(photos, "_ORIGINAL", re.compile(r"unnotified/\w+/(.{36})-(\d)\.jpg"))


@pytest.mark.rule("R-M5")
def test_an_uploaded_photo_is_rendered_and_its_post_published(ada: Person) -> None:
    post = begin(ada, picture(), is_notified=True)
    deliver(resize_photo, post.event())

    assert (post.status, post.files, post.author_posts) == ("published", post.all_files, 1)
    assert post.notes == 0


def test_an_account_whose_pictures_have_taken_long_waits_and_others_do_not(
    ada: Person, grace: Person, queue: str, only_worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "MOST_SECONDS", 0.001)
    first, second, other = begin(ada, picture()), begin(ada, picture()), begin(grace, picture())
    for post in (first, second, other):
        deliver(resize_photo, post.event(), queue=queue)

    assert [post.status for post in (first, second, other)] == ["published", "processing", "published"]
    waiting = take(queue)
    assert (waiting.headers.get("x-attempt"), waiting.headers["x-outage"]) == (None, 1)
    monkeypatch.setattr(turns, "WINDOW_SECONDS", 0)
    deliver(resize_photo, second.event(), queue=queue)
    assert second.status == "published"


@pytest.mark.rule("R-M5")
def test_a_post_is_published_by_the_last_of_its_pictures(ada: Person) -> None:
    post = begin(ada, picture(), picture(), None, is_notified=True)
    deliver(resize_photo, post.event(1))
    deliver(resize_photo, post.event(0))
    until(lambda: len(post.files) == 16)
    assert post.status == "processing"
    media.put_all([media.StoredFile(post.keys[2], picture(), "image/jpeg")])
    deliver(resize_photo, post.event(2))

    assert (post.status, post.files) == ("published", post.all_files)


@pytest.mark.rule("R-M5")
def test_a_message_delivered_twice_changes_nothing(ada: Person) -> None:
    post = begin(ada, picture(), is_notified=True)
    for _ in range(3):
        deliver(resize_photo, post.event())

    assert (post.status, post.author_posts, post.notes) == ("published", 1, 0)


def test_two_workers_racing_on_one_message_publish_the_post_once(ada: Person) -> None:
    for _ in range(3):
        post = begin(ada, picture(), picture(), is_notified=True)
        start = threading.Barrier(4)

        def work(number: int, post: object = post, start: threading.Barrier = start) -> None:
            start.wait(timeout=10)
            try:
                deliver(resize_photo, post.event(number))  # type: ignore[attr-defined]
            finally:
                postgres.close()
                broker.close()

        with ThreadPoolExecutor(4) as workers:
            list(workers.map(work, (0, 0, 1, 1)))
        assert (post.status, post.files) == ("published", post.all_files)
    assert post.author_posts == 3


def test_a_broken_picture_is_not_tried_again_and_its_owner_reads_why(ada: Person, queue: str) -> None:
    whole = picture()
    post = begin(ada, whole[: len(whole) // 2], is_notified=True)
    deliver(resize_photo, post.event(), queue=queue)

    assert (post.status, post.files) == ("failed", set())
    assert post.failure
    assert count_ready(f"{queue}.wait-1000") == 0


def test_a_message_that_arrives_before_the_commit_is_tried_again(ada: Person, queue: str) -> None:
    post = begin(ada, picture(), is_notified=True)
    early = post.event()
    early["Records"][0]["s3"]["object"]["key"] = post.keys[0].replace(str(post.id), str(new_id()))
    deliver(resize_photo, early, queue=queue)

    letter = take(queue)
    assert letter.headers["x-attempt"] == 1
    assert letter.headers["x-error"].startswith("PostNotFound")


def test_the_file_of_a_post_that_was_withdrawn_is_removed_in_the_end(ada: Person, queue: str) -> None:
    post = begin(ada, picture(), is_notified=True)
    with transaction() as db:
        db.execute(posts.WITHDRAW, {"post_id": post.id, "keys": post.keys})
    deliver(resize_photo, post.event(), queue=queue, attempt=3)

    assert not media.exists(post.keys[0])
    assert until(lambda: count_ready(f"{queue}.dead") == 1)


def test_renditions_of_a_post_deleted_meanwhile_are_removed_again(ada: Person) -> None:
    post = begin(ada, picture(), picture(), is_notified=True)
    deliver(resize_photo, post.event(0))
    assert call(delete_post, session_id=ada.session_id, path={"post_id": post.id}).status == 200
    media.put_all([media.StoredFile(key, picture(), "image/jpeg") for key in (*post.all_files, *post.keys)])
    deliver(resize_photo, post.event(0))
    deliver(resize_photo, post.event(1))

    assert (post.status, post.files) == ("deleted", set())
    assert not any(media.exists(key) for key in post.keys)


@pytest.mark.rule("R-M6")
def test_a_picture_that_fails_in_all_tries_ends_failed(ada: Person, queue: str) -> None:
    post = begin(ada, None, is_notified=True)
    for attempt in range(3):
        deliver(resize_photo, post.event(), queue=queue, attempt=attempt)
        assert post.status == "processing"
    deliver(resize_photo, post.event(), queue=queue, attempt=3)

    assert post.status == "failed"
    assert post.failure == "The picture could not be processed."
    assert until(lambda: count_ready(f"{queue}.dead") == 1)


def test_a_store_that_is_down_fails_no_post_and_its_message_waits_for_the_store(
    ada: Person, only_worker: None, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = begin(ada, picture())
    with monkeypatch.context() as patched:
        patched.setenv("S3_ENDPOINT_URL", "http://127.0.0.1:9")
        settings.cache_clear()
        media.close()
        deliver(resize_photo, post.event(), queue=queue, attempt=3)
    settings.cache_clear()
    media.close()

    letter = take(queue, seconds=6)
    assert (letter.headers["x-attempt"], letter.headers["x-outage"], count_ready(f"{queue}.dead")) == (3, 1, 0)
    assert post.status == "processing"


@pytest.mark.rule("R-O2")
def test_the_trace_id_of_the_request_is_logged_and_reaches_the_image_job(ada: Person) -> None:
    trace_id = f"trace-{secrets.token_hex(8)}"
    with capture_log() as lines, watch_notifications() as notices:
        form: Form = ([Upload(picture())], {})
        reply = call(create_post, session_id=ada.session_id, form=form, headers={"x-trace-id": trace_id})
        post_id = reply.json["post_id"]
        [notice] = until(lambda: [each for each in notices() if post_id in each["Key"]])
        deliver(resize_photo, notice)
        found = [line for line in lines() if line.get("trace_id") == trace_id]

    assert (reply.status, reply.headers["x-trace-id"]) == (202, trace_id)
    assert [(line["message"], line["function"]) for line in found] == [
        ("request", "create_post"),
        ("message", "resize_photo"),
    ]


@pytest.mark.rule("R-O2")
def test_the_trace_id_of_the_upload_is_that_of_the_job_and_of_its_event(
    ada: Person, only_worker: None, proxies: Proxies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without RabbitMQ and Valkey the event stays in the outbox."""
    post = begin(ada, picture())
    proxies.valkey.close()
    with monkeypatch.context() as patched:
        patched.setenv("RABBITMQ_URL", "amqp://a:b@127.0.0.1:9/%2F")
        settings.cache_clear()
        broker.close()
        deliver(resize_photo, post.event(trace_id="trace-of-upload"))
    settings.cache_clear()

    assert trace.trace_id.get() == "trace-of-upload"
    with transaction() as db:
        every = outbox.lock_waiting(db, older_than_seconds=-1, at_most=10_000)
    waiting = [note for note in every if str(post.id).encode() in note.body]
    assert [note.trace_id for note in waiting] == ["trace-of-upload"]
    assert post.status == "published"
