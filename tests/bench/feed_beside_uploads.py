"""The latency of the home feed while four logins and four uploads run, against the same stack without them.

python -m tests.bench.feed_beside_uploads [--url http://localhost:3000] [--rounds 4] [--seconds 3]

Idle and busy periods take turns; before each idle one, the posts of the last busy one are published, so that no picture
is being processed. The load runs in a process of its own at low priority, because clients do not use the server's CPU.
Feeds are requested one after the other, by so many accounts that none exceeds 60 a minute. Needs the hosts of a running
stack.
"""

import argparse
import math
import multiprocessing
import os
import statistics
import sys
import threading
import time
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from typing import Any, Final

import httpx

from tests.bench.aims import Aim, report
from tests.bench.callers import DEFAULT_URL, PASSWORD, REQUEST_SECONDS, Caller, detailed_jpeg

_AT_ONCE: Final = 4
_FEED_POSTS: Final = 9
_POSTS_PER_UPLOADER: Final = 9
"""An account may create 10 posts an hour."""
_UPLOADERS: Final = 40
_FEEDS_PER_READER: Final = 50
_PAUSE_SECONDS: Final = 0.02
"""Between two feeds: latency is measured, not throughput."""
_NICENESS: Final = 10

RATIO: Final = Aim(name="p50 of the feed, beside logins and uploads / idle", at_most=3)
AIMS: Final = (RATIO,)


def generate_load(url: str, is_on: Event, is_off: Event, counts: Any) -> None:
    """While `is_on` is set, keep four logins and four uploads running.

    `is_off` is set when the next period can begin: at the start, and when the posts of a period are published.
    `counts` gets the numbers of logins, uploads and refused requests.
    """
    os.nice(_NICENESS)
    load = Load(url, counts)
    while True:
        is_off.set()
        is_on.wait()
        load.run(is_on)


class Load:
    """The requests of busy periods."""

    def __init__(self, url: str, counts: Any) -> None:
        self._url = url
        self._counts = counts
        self._picture = detailed_jpeg(4000, 3000)
        self._member = Caller(url, "member")
        self._uploaders: list[Caller] = []
        self._register_uploaders()

    def run(self, is_on: Event) -> None:
        """Run until the event is cleared, then until all posts are published and the next period has its uploaders."""
        created: list[tuple[Caller, str]] = []
        threads = [threading.Thread(target=self._log_in, args=(is_on,)) for _ in range(_AT_ONCE)]
        threads += [threading.Thread(target=self._upload, args=(is_on, created)) for _ in range(_AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for uploader, post_id in created:
            uploader.wait_until_published(post_id)
        self._register_uploaders()

    def _register_uploaders(self) -> None:
        missing = _UPLOADERS - len(self._uploaders)
        self._uploaders += [Caller(self._url, "uploader") for _ in range(missing)]

    def _log_in(self, is_on: Event) -> None:
        credentials = {"username": self._member.username, "password": PASSWORD}
        with httpx.Client(base_url=f"{self._url}/api/v1", timeout=REQUEST_SECONDS) as http:
            while is_on.is_set():
                response = http.post("/auth/login", json=credentials)
                self._counts[0 if response.is_success else 2] += 1

    def _upload(self, is_on: Event, created: list[tuple[Caller, str]]) -> None:
        while is_on.is_set():
            uploader = self._uploaders.pop()
            for _ in range(_POSTS_PER_UPLOADER):
                if is_on.is_set():
                    created.append((uploader, uploader.upload(self._picture)))
                    self._counts[1] += 1


class Readers:
    """Accounts with nine posts in their feeds, which request them in turn."""

    def __init__(self, url: str, feeds: int) -> None:
        author = Caller(url, "author")
        picture = detailed_jpeg(1200, 900)
        posts = [author.upload(picture) for _ in range(_FEED_POSTS)]
        for post_id in posts:
            author.wait_until_published(post_id)
        self._readers = [Caller(url, "reader") for _ in range(math.ceil(feeds / _FEEDS_PER_READER))]
        for reader in self._readers:
            reader.request("POST", f"/users/{author.id}/follow")
            if len(reader.request("GET", "/feed")["posts"]) != _FEED_POSTS:
                sys.exit("the feed does not show the author's posts")
        self._requests = 0

    def measure(self, seconds: float) -> list[float]:
        """Milliseconds of each feed, for so many seconds."""
        latencies: list[float] = []
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            reader = self._readers[self._requests % len(self._readers)]
            self._requests += 1
            started = time.perf_counter()
            reader.request("GET", "/feed")
            latencies.append((time.perf_counter() - started) * 1000)
            time.sleep(_PAUSE_SECONDS)
        return latencies


def main() -> None:
    """Measure both kinds of periods in turn and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default=DEFAULT_URL)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3)
    arguments = parser.parse_args()
    readers = Readers(arguments.url, round(2 * arguments.rounds * arguments.seconds / _PAUSE_SECONDS))
    spawn = multiprocessing.get_context("spawn")
    is_on, is_off = spawn.Event(), spawn.Event()
    counts: Any = spawn.Array("i", 3)
    process = spawn.Process(target=generate_load, args=(arguments.url, is_on, is_off, counts), daemon=True)
    process.start()
    _wait(is_off, process)
    idle: list[float] = []
    busy: list[float] = []
    readers.measure(1)
    for number in range(arguments.rounds):
        idle += (without := readers.measure(arguments.seconds))
        is_off.clear()
        is_on.set()
        readers.measure(1)  # until all eight requests run
        busy += (beside := readers.measure(arguments.seconds))
        is_on.clear()
        _wait(is_off, process)
        p50_without, p50_beside = _percentile(without, 50), _percentile(beside, 50)
        print(f"round {number + 1}: idle p50 {p50_without:.1f} ms, busy p50 {p50_beside:.1f} ms", flush=True)
    process.terminate()
    logins, uploads, refused = counts
    print(
        f"busy: {_AT_ONCE} logins at once ({logins} in all), {_AT_ONCE} uploads ({uploads} in all), {refused} refused"
    )
    for name, latencies in (("idle", idle), ("busy", busy)):
        p50, p95 = _percentile(latencies, 50), _percentile(latencies, 95)
        print(f"{name}: {len(latencies)} feeds, p50 {p50:.1f} ms, p95 {p95:.1f} ms")
    print(f"p95, busy / idle: {_percentile(busy, 95) / _percentile(idle, 95):.2f}")
    report("feed_beside_uploads", {RATIO: _percentile(busy, 50) / _percentile(idle, 50)})


def _wait(is_off: Event, process: BaseProcess) -> None:
    while not is_off.wait(1):
        if not process.is_alive():
            sys.exit("the process that generates the load has ended early")


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


if __name__ == "__main__":
    main()
