"""Home feed latency while four logins and four uploads are in flight, against the same host idle. Aim: at most 3.

python tests/bench/feed_beside_uploads.py [--url http://localhost:3000] [--rounds 4] [--seconds 3]

Idle and busy spells take turns in one run; before each idle one, the posts of the last busy one are published, so that
no picture is still in work. The load runs in a process of its own at low priority: phones do not share our cores.
Feeds are asked one after the other, by so many readers that none meets the contract's 60 a minute.
"""

import argparse
import io
import math
import multiprocessing
import os
import secrets
import statistics
import sys
import threading
import time
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from typing import Any

import httpx
from PIL import Image

PASSWORD = "correct horse battery"
IN_FLIGHT = 4
FEED_POSTS = 9
POSTS_PER_UPLOADER = 9
"""The contract allows 10 posts an hour."""
UPLOADERS = 40
FEEDS_PER_READER = 50
PACE_SECONDS = 0.02
"""Between two feeds: latency is measured, not throughput."""
PUBLISHED_SECONDS = 180
REQUEST_SECONDS = 60
NICE = 10


class Caller:
    """An account of its own for this run."""

    def __init__(self, url: str, name: str) -> None:
        self.http = httpx.Client(base_url=f"{url}/api/v1", timeout=REQUEST_SECONDS)
        self.username = f"{name}_{secrets.token_hex(5)}"
        registration = {"username": self.username, "email": f"{self.username}@example.org", "password": PASSWORD}
        self.id: str = self.said("POST", "/auth/register", json=registration)["user"]["id"]

    def said(self, method: str, path: str, **sent: Any) -> dict[str, Any]:
        """The JSON of an answer; a refusal ends the run."""
        answer = self.http.request(method, path, **sent)
        if answer.is_error:
            sys.exit(f"{method} {path}: {answer.status_code} {answer.text}")
        told: dict[str, Any] = answer.json()
        return told

    def upload(self, picture: bytes) -> str:
        """A new post of one picture; its id."""
        post_id: str = self.said("POST", "/posts", files={"media": ("photo.jpg", picture)})["post_id"]
        return post_id

    def until_published(self, post_id: str) -> None:
        """Wait for a post's renditions."""
        deadline = time.monotonic() + PUBLISHED_SECONDS
        while (status := self.said("GET", f"/posts/{post_id}")["post"]["status"]) != "published":
            if status == "failed" or time.monotonic() > deadline:
                sys.exit(f"post {post_id} is {status}")
            time.sleep(0.2)


def phone_photo(width: int, height: int) -> bytes:
    """A JPEG with as much detail as a camera's."""
    small = Image.effect_noise((width // 8, height // 8), 60)
    picture = Image.merge("RGB", [small, small.rotate(90), small.rotate(180)]).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    kept = io.BytesIO()
    picture.save(kept, "JPEG", quality=88)
    return kept.getvalue()


def load(url: str, is_on: Event, is_off: Event, counts: Any) -> None:
    """While `is_on` is set, keep four logins and four uploads in flight.

    `is_off` is set when all is ready for a spell: at the start, and once the posts of a spell are published. `counts`
    gets the logins, the uploads and the refusals.
    """
    os.nice(NICE)
    flight = Flight(url, counts)
    while True:
        is_off.set()
        is_on.wait()
        flight.spell(is_on)


class Flight:
    """What is in flight during a busy spell."""

    def __init__(self, url: str, counts: Any) -> None:
        self._url = url
        self._counts = counts
        self._picture = phone_photo(4000, 3000)
        self._member = Caller(url, "member")
        self._uploaders: list[Caller] = []
        self._make_uploaders()

    def spell(self, is_on: Event) -> None:
        """Until the event is cleared; then until every post is published and there are uploaders for another spell."""
        made: list[tuple[Caller, str]] = []
        threads = [threading.Thread(target=self._log_in, args=(is_on,)) for _ in range(IN_FLIGHT)]
        threads += [threading.Thread(target=self._upload, args=(is_on, made)) for _ in range(IN_FLIGHT)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for caller, post_id in made:
            caller.until_published(post_id)
        self._make_uploaders()

    def _make_uploaders(self) -> None:
        missing = UPLOADERS - len(self._uploaders)
        self._uploaders += [Caller(self._url, "uploader") for _ in range(missing)]

    def _log_in(self, is_on: Event) -> None:
        credentials = {"username": self._member.username, "password": PASSWORD}
        with httpx.Client(base_url=f"{self._url}/api/v1", timeout=REQUEST_SECONDS) as http:
            while is_on.is_set():
                answer = http.post("/auth/login", json=credentials)
                self._counts[0 if answer.is_success else 2] += 1

    def _upload(self, is_on: Event, made: list[tuple[Caller, str]]) -> None:
        while is_on.is_set():
            uploader = self._uploaders.pop()
            for _ in range(POSTS_PER_UPLOADER):
                if is_on.is_set():
                    made.append((uploader, uploader.upload(self._picture)))
                    self._counts[1] += 1


class Readers:
    """People with nine posts in their feeds, asked in turn."""

    def __init__(self, url: str, feeds: int) -> None:
        author = Caller(url, "author")
        picture = phone_photo(1200, 900)
        posts = [author.upload(picture) for _ in range(FEED_POSTS)]
        for post_id in posts:
            author.until_published(post_id)
        self._readers = [Caller(url, "reader") for _ in range(math.ceil(feeds / FEEDS_PER_READER))]
        for reader in self._readers:
            reader.said("POST", f"/users/{author.id}/follow")
            if len(reader.said("GET", "/feed")["posts"]) != FEED_POSTS:
                sys.exit("the feed does not show the author's posts")
        self._asked = 0

    def latencies(self, seconds: float) -> list[float]:
        """Milliseconds of each feed in so many seconds."""
        found: list[float] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            reader = self._readers[self._asked % len(self._readers)]
            self._asked += 1
            started = time.perf_counter()
            reader.said("GET", "/feed")
            found.append((time.perf_counter() - started) * 1000)
            time.sleep(PACE_SECONDS)
        return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("PHOTOGRAM_URL", "http://localhost:3000"))
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3)
    given = parser.parse_args()
    feeds = 2 * given.rounds * given.seconds / PACE_SECONDS
    readers = Readers(given.url, round(feeds))
    spawn = multiprocessing.get_context("spawn")
    is_on, is_off = spawn.Event(), spawn.Event()
    counts: Any = spawn.Array("i", 3)
    loading = spawn.Process(target=load, args=(given.url, is_on, is_off, counts), daemon=True)
    loading.start()
    _wait(is_off, loading)
    idle: list[float] = []
    busy: list[float] = []
    readers.latencies(1)
    for number in range(given.rounds):
        idle += (spell := readers.latencies(given.seconds))
        is_off.clear()
        is_on.set()
        readers.latencies(1)  # until all eight are in flight
        busy += (beside := readers.latencies(given.seconds))
        is_on.clear()
        _wait(is_off, loading)
        print(f"round {number + 1}: idle p50 {_p(spell, 50):.1f} ms, busy p50 {_p(beside, 50):.1f} ms", flush=True)
    loading.terminate()
    logins, uploads, refused = counts
    print(f"in flight: {IN_FLIGHT} logins ({logins} done), {IN_FLIGHT} uploads ({uploads} done), {refused} refused")
    for name, spells in (("idle", idle), ("busy", busy)):
        print(f"{name}: {len(spells)} feeds, p50 {_p(spells, 50):.1f} ms, p95 {_p(spells, 95):.1f} ms")
    print(f"ratio of p50: {_p(busy, 50) / _p(idle, 50):.2f} (aim: at most 3)")
    print(f"ratio of p95: {_p(busy, 95) / _p(idle, 95):.2f}")


def _wait(is_off: Event, loading: BaseProcess) -> None:
    while not is_off.wait(1):
        if not loading.is_alive():
            sys.exit("the load ended early")


def _p(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


if __name__ == "__main__":
    main()
