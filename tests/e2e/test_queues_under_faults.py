"""What breaks between an upload and its followers' feeds delays a post, and never loses one."""

import contextlib
import time
from collections.abc import Iterator

import pika
import psutil
import pytest

from infra.rabbitmq.definitions import PHOTOS
from layers.core.events import PHOTO_UPLOADED
from tests.pictures import phone_photo
from tests.support import services
from tests.support.http import Caller
from tests.support.queues import channel
from tests.support.waiting import LATE_SECONDS, until

PROMISED_SECONDS = 120
USUAL_SECONDS = 15
LONGER_THAN_ALL_RETRIES = 12


@pytest.fixture
def author() -> Caller:
    return Caller("author")


@pytest.fixture
def follower(author: Caller) -> Caller:
    follower = Caller("follower")
    follower.follow(author)
    follower.feed()
    return follower


@contextlib.contextmanager
def photo_events_lost() -> Iterator[None]:
    """MinIO's events find no queue: the broker drops them."""
    with channel() as opened:
        opened.queue_unbind(PHOTO_UPLOADED, PHOTOS, PHOTO_UPLOADED)
    try:
        yield
    finally:
        with channel() as opened:
            opened.queue_bind(PHOTO_UPLOADED, PHOTOS, PHOTO_UPLOADED)


def kill_environments() -> int:
    """End the processes in which queue functions run; how many there were."""
    killed = 0
    for process in services.process("triggers").children():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
            killed += 1
    return killed


def shown(follower: Caller, post_id: str, *, seconds: float) -> None:
    """Wait for the post in the follower's feed, which may be asked for once a second."""
    until(lambda: follower.in_feed(post_id), seconds=seconds, every=1.1)


@pytest.mark.rule("R-D1")
@pytest.mark.timeout(300)
def test_with_minios_events_lost_or_rabbitmq_down_posts_are_in_their_followers_feeds_within_120_s(
    author: Caller, follower: Caller
) -> None:
    with photo_events_lost():
        untold = author.upload(phone_photo(), phone_photo())["post_id"]
    started = time.monotonic()
    in_flight = [author.upload(phone_photo())["post_id"] for _ in range(3)]
    with services.stop("rabbitmq"):
        lost = author.upload(phone_photo())["post_id"]
        for post_id in (untold, *in_flight, lost):
            shown(follower, post_id, seconds=PROMISED_SECONDS - (time.monotonic() - started))
        newcomer = Caller("newcomer")
        newcomer.follow(author)
        assert newcomer.in_feed(lost)

    until(lambda: takes_the_usual_way(author), seconds=60)


def takes_the_usual_way(author: Caller) -> bool:
    """Whether a new post is published at once; MinIO loses the first event after the broker's return."""
    post_id = author.upload(phone_photo())["post_id"]
    try:
        return bool(until(lambda: author.published(post_id), seconds=USUAL_SECONDS / 3))
    except AssertionError:
        return False


def test_kill_9_of_the_consumers_environments_loses_no_post_and_publishes_each_once(
    author: Caller, follower: Caller
) -> None:
    uploaded, killed = [], 0
    for _ in range(6):
        uploaded.append(author.upload(phone_photo())["post_id"])
        killed += kill_environments()

    for post_id in uploaded:
        shown(follower, post_id, seconds=60)
    assert killed >= 3
    assert [post["id"] for post in follower.feed()] == uploaded[::-1]
    assert author.http.get("/auth/me").json()["user"]["postCount"] == len(uploaded)


def test_kill_9_of_the_whole_consumer_loses_no_post(author: Caller, follower: Caller) -> None:
    uploaded = [author.upload(phone_photo())["post_id"] for _ in range(3)]
    services.process("triggers").kill()
    uploaded.append(author.upload(phone_photo())["post_id"])

    for post_id in uploaded:
        shown(follower, post_id, seconds=60)


@pytest.mark.rule("R-F5")
@pytest.mark.timeout(180)
def test_posts_that_are_published_while_valkey_hangs_are_in_the_feeds_5_s_after_its_return(
    author: Caller, follower: Caller
) -> None:
    before = author.upload(phone_photo())["post_id"]
    shown(follower, before, seconds=USUAL_SECONDS)
    with services.hang("valkey"):
        uploaded = [author.upload(phone_photo())["post_id"] for _ in range(3)]
        until(lambda: all(author.published(post_id) for post_id in uploaded), seconds=60)
        time.sleep(LONGER_THAN_ALL_RETRIES)

    started = time.monotonic()
    for post_id in uploaded:
        shown(follower, post_id, seconds=5 + LATE_SECONDS - (time.monotonic() - started))


@pytest.mark.timeout(180)
def test_with_the_worker_stopped_uploads_are_accepted_and_done_when_it_is_back(
    author: Caller, follower: Caller
) -> None:
    with services.stop("triggers"):
        waiting = author.upload(phone_photo())["post_id"]
        until(has_messages, seconds=10)
    shown(follower, waiting, seconds=USUAL_SECONDS * 2)


def has_messages() -> bool:
    """Whether pictures wait in their queue."""
    with channel() as opened:
        declared: pika.frame.Method = opened.queue_declare(PHOTO_UPLOADED, passive=True)
    return bool(declared.method.message_count)
