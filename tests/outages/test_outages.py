"""Every row of docs/contract/outages.md: a service is stopped, hangs or is slow while clients use the API, and returns.

The API is not restarted meanwhile. At the end the suite prints what it measured, as docs/operations.md shows it.
"""

import functools
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from infra.stack.profiles import profile
from layers.core.clock import format_time
from layers.core.events import PHOTO_UPLOADED
from layers.valkey import heartbeats
from tests.support import services
from tests.support.behind_proxies import behind_proxies
from tests.support.http import Caller, api
from tests.support.outage_table import (
    DOWN,
    FILES,
    KEPT,
    KINDS,
    ORDINARY_SECONDS,
    PHOTO,
    TABLE,
    Accounts,
    Answer,
    Kind,
    form,
)
from tests.support.proxies import Proxy
from tests.support.queues import count_ready
from tests.support.stores import forget_in_valkey, read_profile, valkey
from tests.support.traffic import Request, Sent, Traffic, steady
from tests.support.waiting import LATE_SECONDS, until

FAULTS: Final = ("stopped", "hung", "slow")
ORDER: Final = (
    *(("minio", "stopped"), ("rabbitmq", "stopped"), ("minio", "hung"), ("rabbitmq", "hung")),
    *((service, fault) for service in ("postgres", "cassandra", "triggers", "valkey") for fault in FAULTS),
    *(("minio", "slow"), ("rabbitmq", "slow")),
)
"""What opens the image breaker comes before what takes long by itself, so that the suite need not wait for its 60 s.
PostgreSQL comes before Valkey, which loses the copies that answer for PostgreSQL when it is stopped."""
DELAY_MILLISECONDS: Final = 2000
PUBLISHED_SECONDS: Final = 120
USUAL_SECONDS: Final = 15
RETURN_SECONDS: Final = 10
SHARE: Final = 0.9
BEFORE_SECONDS: Final = 2
POLL_SECONDS: Final = 0.1
IMAGE_BREAKER_SECONDS: Final = 60
MOST_OF_OTHER_BREAKERS: Final = 5
"""Seconds: a longer `Retry-After` is that of the image breaker."""
NO_HEARTBEAT_SECONDS: Final = 120
BEAT_SECONDS: Final = 15
HEAD: Final = "| service | fault | longest wait | longest upload | 0.9 of the throughput after | post in feeds after |"
FALLBACK: Final[dict[str, object]] = {"posts": [], "nextCursor": None, "fallback": True}


class Measured(msgspec.Struct):
    """What was seen of one fault of one service, in seconds."""

    service: str
    fault: str
    ordinary: float = 0
    """The longest time of an ordinary request, and of an upload."""
    upload: float = 0
    recovery: float = 0
    """From the return of the service until the end of the first second with 0.9 of the throughput before."""
    published: float | None = None
    """From the acknowledgement of a post until it was in a follower's feed."""

    @property
    def line(self) -> str:
        """A line of the table."""
        published = "" if self.published is None else f"{self.published:.0f} s"
        return (
            f"| {self.service} | {self.fault} | {self.ordinary:.1f} s | {self.upload:.1f} s "
            f"| {self.recovery:.1f} s | {published} |"
        )

    def wait_for_recovery(self, traffic: Traffic, before: float, since: float) -> float | None:
        """Wait for it, at most 10 s; None if there is none."""
        ends_at = since + RETURN_SECONDS + LATE_SECONDS
        while not self.recovery and time.monotonic() < ends_at:
            time.sleep(POLL_SECONDS)
            self.recovery = traffic.seconds_until(SHARE * before, since=since, within=RETURN_SECONDS) or 0
        return self.recovery or None

    def note(self, seconds: float, *, is_upload: bool) -> None:
        """Keep the longest time."""
        if is_upload:
            self.upload = max(self.upload, seconds)
        else:
            self.ordinary = max(self.ordinary, seconds)


# ── The accounts, their traffic, and what is measured ───────────────────────


@pytest.fixture(autouse=True)
def closed_connections() -> None:
    """The accounts are those of all tests here, so their connections stay open until the last one."""


@pytest.fixture(scope="module")
def proxies() -> Iterator[dict[str, Proxy]]:
    with behind_proxies() as found:
        yield found


@pytest.fixture(scope="module")
def accounts(proxies: dict[str, Proxy]) -> Iterator[Accounts]:
    reader, author, uploader, fan = (Caller(name) for name in ("reader", "author", "uploader", "fan"))
    reader.follow(author)
    fan.follow(uploader)
    fan.feed()
    assert author.http.post("/stories", files=form("media")).status_code == 201
    posts = [caller.upload(PHOTO)["post_id"] for caller in (author, uploader)]
    post = until(lambda: author.published(posts[0]), seconds=60)
    until(lambda: uploader.published(posts[1]), seconds=60)
    talk = _talk(reader, author)
    message = reader.http.post(talk, json={"content": "Hello"}).json()["message"]
    body = {"name": "Hikers", "userIds": [author.id, uploader.id]}
    group = f"/messages/groups/{reader.http.post('/messages/groups', json=body).json()['conversationId']}"
    _wait_for_profiles(reader, author, uploader)
    yield Accounts(
        reader=reader,
        author=author,
        uploader=uploader,
        fan=fan,
        post_id=posts[0],
        busy_post_id=posts[1],
        media_url=post["media"][0]["mediaUrl"],
        talk=talk,
        message_id=message["messageId"],
        group=group,
        left_group=group,
        newcomer=reader,
        upload={},
    )
    Caller.leave()


def _wait_for_profiles(*callers: Caller) -> None:
    """Return when Cassandra has a copy of each profile, which answers about messages while PostgreSQL is down."""
    for caller in callers:
        until(functools.partial(read_profile, UUID(caller.id)), seconds=60)


def _talk(one: Caller, other: Caller) -> str:
    opened = one.http.post("/messages/conversations", json={"recipientId": other.id})
    assert opened.status_code == 201, opened.text
    return f"/messages/conversations/{opened.json()['conversationId']}"


@pytest.fixture(scope="module")
def traffic(accounts: Accounts) -> Iterator[Traffic]:
    """Two clients that read and two that write."""
    readers, writers = ([Caller(name) for _ in range(2)] for name in ("looker", "writer"))
    talks = [_talk(*pair) for pair in zip(writers, readers, strict=True)]
    for account in (*readers, *writers):
        account.follow(accounts.author)
    _wait_for_profiles(*readers, *writers)
    clients = [
        *(_reads(caller.http, talk, accounts) for caller, talk in zip(readers, talks, strict=True)),
        *(_writes(caller.http, talk, accounts) for caller, talk in zip(writers, talks, strict=True)),
    ]
    with steady(clients) as running:
        yield running


def _request(kind: str, send: Callable[[], httpx.Response]) -> Request:
    usual = next((each.usual for each in KINDS if each.name == kind), Answer(200))
    return Request(kind, send, usual.fits)


def _reads(http: httpx.Client, talk: str, accounts: Accounts) -> list[Request]:
    return [
        _request("F1", lambda: http.get("/feed")),
        _request("A4", lambda: http.get("/auth/me")),
        _request("M3", lambda: http.get(talk)),
        _request("U1", lambda: http.get(f"/users/{accounts.author.username}")),
        _request("P2", lambda: http.get(f"/posts/{accounts.busy_post_id}")),
    ]


def _writes(http: httpx.Client, talk: str, accounts: Accounts) -> list[Request]:
    post = f"/posts/{accounts.busy_post_id}"
    return [
        _request("P4", lambda: http.post(f"{post}/like")),
        _request("M4", lambda: http.post(talk, json={"content": "Hello"})),
        _request("P5", lambda: http.delete(f"{post}/like")),
        _request("P7", lambda: http.post(f"{post}/save")),
    ]


class Stage(NamedTuple):
    """What all tests share."""

    accounts: Accounts
    traffic: Traffic
    proxies: Mapping[str, Proxy]
    report: list[Measured]


@pytest.fixture(scope="module")
def stage(accounts: Accounts, traffic: Traffic, proxies: dict[str, Proxy]) -> Iterator[Stage]:
    """The report is written to standard output at the end."""
    report: list[Measured] = []
    yield Stage(accounts, traffic, proxies, report)
    lines = [HEAD, "| --- " * HEAD.count(" | ") + "| --- |", *(row.line for row in report)]
    sys.stdout.write("\n".join(["", *lines, ""]))


# ── The tests ───────────────────────────────────────────────────────────────


@pytest.mark.rule("R-D1", "R-D2")
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("service", "fault"), ORDER)
def test_while_a_service_is_down_every_request_is_answered_as_promised_and_afterwards_as_usual(
    service: str, fault: str, stage: Stage
) -> None:
    accounts, traffic, measured = stage.accounts, stage.traffic, Measured(service, fault)
    stage.report.append(measured)
    if service == "postgres":
        forget_in_valkey(UUID(accounts.post_id))  # the copy that the feed shows lives 5 min from when it was read
    answered_as_usual(accounts, without=FILES)
    accounts.newcomer = Caller("newcomer")
    assert accounts.newcomer.http.get("/auth/me").status_code == 200
    time.sleep(BEFORE_SECONDS)
    broken_at = time.monotonic()
    before = traffic.rate(broken_at - BEFORE_SECONDS, broken_at)

    with broken(service, fault, stage.proxies.get(service)):
        answered_as_promised(accounts, measured)
        while_down = traffic.between(broken_at, time.monotonic())
    returned_at = time.monotonic()

    recovery = measured.wait_for_recovery(traffic, before, returned_at)
    assert recovery, f"{before:.0f} per second before, {traffic.rate(returned_at, time.monotonic()):.0f} after"
    answered_as_usual(accounts, without=FILES if service == "minio" else frozenset())
    if service in ("rabbitmq", "triggers"):
        until(lambda: is_published_at_once(accounts.uploader), seconds=60)
    check_traffic(service, while_down, measured)


def test_pictures_are_taken_again_when_the_60_s_of_the_image_breaker_are_over(accounts: Accounts) -> None:
    time.sleep(max(0, accounts.pictures_again_at - time.monotonic()))
    answered_as_usual(accounts)


def answered_as_usual(accounts: Accounts, *, without: frozenset[str] = frozenset()) -> None:
    """Each kind of request gets its usual answer within 10 s; what needs the image breaker, when that may be closed."""
    for kind in KINDS:
        if kind.name not in without:
            waits = max(0, accounts.pictures_again_at - time.monotonic()) if kind.needs_breaker else 0
            until(functools.partial(_is_usual, kind, accounts), seconds=RETURN_SECONDS + waits, every=0.2)


def _is_usual(kind: Kind, accounts: Accounts) -> bool:
    began_at = time.monotonic()
    is_usual = kind.usual.fits(kind.ask(accounts))
    if kind.hashes and is_usual:
        accounts.hash_seconds = max(accounts.hash_seconds, time.monotonic() - began_at)
    return is_usual


def answered_as_promised(accounts: Accounts, measured: Measured) -> None:
    """Each kind of request gets the answer of the table, in the time that is promised.

    A service that is slow may count as down or not, but it delays no answer longer than one that is down.
    """
    waiting_post = accounts.uploader.upload(PHOTO)["post_id"] if measured.service == "rabbitmq" else ""
    acknowledged_at = time.monotonic()
    before = _stored(accounts) if measured.service == "minio" else None
    problems = ask_all(accounts, measured)
    assert not problems, "\n".join(problems)
    if measured.service == "rabbitmq":
        left = PUBLISHED_SECONDS - (time.monotonic() - acknowledged_at)
        until(lambda: accounts.fan.in_feed(waiting_post), seconds=left, every=0.5)
        measured.published = time.monotonic() - acknowledged_at
    elif measured.fault != "slow":
        check_further(accounts, measured)
    if measured.service == "minio" and measured.fault != "slow":
        assert before == _stored(accounts)


def ask_all(accounts: Accounts, measured: Measured) -> list[str]:
    """Ask each kind of request once; the answers that the table does not have."""
    with ThreadPoolExecutor(_for_uploads()) as pool:
        sent = [pool.submit(ask, kind, accounts, measured) for kind in KINDS if kind.is_upload]
        problems = [ask(kind, accounts, measured) for kind in KINDS if not kind.is_upload]
    return [problem for problem in (*problems, *(each.result() for each in sent)) if problem]


def _for_uploads() -> int:
    """The number of environments that receive files."""
    return (profile("test").heavy + 1) // 2


def ask(kind: Kind, accounts: Accounts, measured: Measured) -> str:
    """Make a request; the answer if it is none that the table has for the service that is down."""
    down = TABLE[measured.service].get(kind.name, kind.usual)
    may_be_unnoticed = measured.service == "cassandra" and measured.fault == "hung" and kind.name in KEPT
    allowed = (down, kind.usual) if measured.fault == "slow" or may_be_unnoticed else (down,)
    if kind.needs_breaker and kind.usual in allowed:
        time.sleep(max(0, accounts.pictures_again_at - time.monotonic()))
    found = _timed(kind, accounts, measured)
    if any(answer.fits(found) for answer in allowed):
        return ""
    return f"{kind.name}: {found.status_code} {found.headers.get('retry-after')} {found.text[:300]}"


def check_further(accounts: Accounts, measured: Measured) -> None:
    """What the table says of more than one kind of request."""
    match measured.service:
        case "valkey":
            assert "ratelimit-limit" not in accounts.reader.http.get("/auth/me").headers
        case "minio":
            check_image_breaker(accounts)
        case "postgres":
            check_feeds(accounts, measured)
        case "triggers":
            check_worker(accounts, measured.fault)


def _timed(kind: Kind, accounts: Accounts, measured: Measured) -> httpx.Response:
    began_at = time.monotonic()
    found = kind.ask(accounts)
    seconds = time.monotonic() - began_at
    measured.note(seconds, is_upload=kind.is_upload)
    assert seconds < kind.most_seconds(accounts), kind.name
    return found


def check_traffic(service: str, sent: list[Sent], measured: Measured) -> None:
    """What the traffic asked for was answered in time, as usual or as the table says."""
    assert sent
    for each in sent:
        measured.note(each.seconds, is_upload=False)
        assert each.seconds < ORDINARY_SECONDS + LATE_SECONDS, each
        down = TABLE[service].get(each.kind)
        assert each.is_usual or (down and each.status == down.status) or is_feed_fallback(service, each), each


def is_feed_fallback(service: str, sent: Sent) -> bool:
    """Whether it may be the answer of an open feed breaker."""
    return service == "postgres" and sent.kind == "F1" and sent.status == httpx.codes.OK


def check_image_breaker(accounts: Accounts) -> None:
    """After at least half of at least three calls have failed, what needs pictures is refused at once, for 60 s.

    Each process has a breaker; requests go to the processes in turn.
    """
    kinds = [kind for kind in KINDS if kind.needs_breaker]
    in_all_processes = _for_uploads() * len(kinds)

    def seconds_left(kind: Kind) -> int:
        return int(kind.ask(accounts).headers["retry-after"])

    def is_open() -> bool:
        with ThreadPoolExecutor(_for_uploads()) as pool:
            return all(left > MOST_OF_OTHER_BREAKERS for left in pool.map(seconds_left, kinds))

    until(is_open, seconds=PUBLISHED_SECONDS)
    for number in range(in_all_processes):
        kind = kinds[number % len(kinds)]
        began_at = time.monotonic()
        found = kind.ask(accounts)
        assert time.monotonic() - began_at < LATE_SECONDS
        assert DOWN.fits(found)
        assert MOST_OF_OTHER_BREAKERS < int(found.headers["retry-after"]) <= IMAGE_BREAKER_SECONDS
    accounts.pictures_again_at = time.monotonic() + IMAGE_BREAKER_SECONDS + LATE_SECONDS


def _stored(accounts: Accounts) -> tuple[object, ...]:
    """What requests with files would change."""
    uploader = accounts.uploader.http
    with_files = [each for each in accounts.reader.http.get(accounts.talk).json()["messages"] if each["mediaUrl"]]
    return (
        [post["id"] for post in uploader.get(f"/users/{accounts.uploader.username}/posts").json()["posts"]],
        [story["id"] for story in uploader.get("/stories/me").json()["stories"]],
        uploader.get("/auth/me").json()["user"]["profilePictureUrl"],
        [each["messageId"] for each in with_files],
    )


def _ask_as_stranger(path: str, _: Accounts) -> httpx.Response:
    """With a session that neither Valkey nor PostgreSQL knows."""
    return httpx.get(f"{api()}/api/v1{path}", headers={"cookie": f"session_id={uuid4().hex}"}, timeout=30)


def check_feeds(accounts: Accounts, measured: Measured) -> None:
    """Without PostgreSQL: a feed without a copy, a session that no store can confirm, and the feed breaker."""
    newcomer, reader = accounts.newcomer.http, accounts.reader.http
    feed = Kind("F1 without a copy", Answer(200, FALLBACK), lambda _: newcomer.get("/feed"))
    paths = ("/feed", "/auth/me", "/users/me/saved", "/messages/conversations")
    strangers = [Kind(path, DOWN, functools.partial(_ask_as_stranger, path)) for path in paths]
    for kind in (feed, *strangers):
        found = _timed(kind, accounts, measured)
        assert kind.usual.fits(found), (kind.name, found.status_code, found.text)

    for port in profile("test").ports.api:  # each of these has an environment of its own for reads
        url = f"http://localhost:{port}/api/v1/feed"

        def is_open(url: str = url) -> bool:
            newcomer.get(url)
            return bool(reader.get(url).json().get("fallback"))

        until(is_open, seconds=30, every=0)
        began_at = time.monotonic()
        found = reader.get(url)
        assert time.monotonic() - began_at < LATE_SECONDS
        assert (found.status_code, found.json(), found.headers["cache-control"]) == (200, FALLBACK, "no-store")


def check_worker(accounts: Accounts, fault: str) -> None:
    """Jobs wait in their queue, and the detailed health shows the worker as unavailable after 2 min.

    Time passes by moving the heartbeat, not by waiting.
    """
    post_id = accounts.uploader.upload(PHOTO)["post_id"]
    if fault == "stopped":
        until(lambda: count_ready(PHOTO_UPLOADED), seconds=10)
    long_ago = format_time(datetime.now(UTC) - timedelta(seconds=NO_HEARTBEAT_SECONDS + LATE_SECONDS))
    for host in heartbeats.HOSTS:
        valkey().set(f"heartbeat:{host}", long_ago, keepttl=True)
    found = httpx.get(f"{api()}/api/health/detailed", timeout=30)
    assert found.json()["components"]["worker"]["status"] == "unavailable"
    post = accounts.uploader.post(post_id)
    assert post is not None
    assert post["status"] == "processing"


def is_published_at_once(author: Caller) -> bool:
    """Whether a new post takes the usual way; MinIO loses the first event after the broker's return."""
    post_id = author.upload(PHOTO)["post_id"]
    try:
        return bool(until(lambda: author.published(post_id), seconds=USUAL_SECONDS / 3))
    except AssertionError:
        return False


@contextmanager
def broken(service: str, fault: str, proxy: Proxy | None) -> Iterator[None]:
    """The fault; at the end the service is back and answers."""
    with ExitStack() as undo:
        if fault == "hung":
            undo.enter_context(services.hang(service))
        elif fault == "stopped":
            if proxy:  # it refuses connections, as the port of a process that has ended
                proxy.close()
                undo.callback(proxy.open)
            undo.enter_context(services.stop(service))
        elif proxy:
            undo.callback(proxy.pass_on)
            proxy.delay(DELAY_MILLISECONDS)
        else:
            undo.enter_context(services.pulse(service))
        yield
