"""The targets of the original design at its own local scale (R-O1): 50 feeds and 5 uploads a second, for 20 s.

python -m tests.bench.original_targets [--url http://localhost:3000] [--seconds 20]

Requests start at fixed times, whether earlier ones were answered or not: a slow answer delays no other request, and the
time that a request waits is counted. For each feed, one of its pictures is fetched. The baseline is the original's p95:
feed 200 ms, upload 500 ms, image 50 ms. Needs the hosts of a running stack.
"""

import argparse
import itertools
import random
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpx

from tests.bench.aims import Aim, report
from tests.bench.callers import DEFAULT_URL, Caller, detailed_jpeg

_TARGETS: Final = {"feed": 200, "upload": 500, "image": 50}
"""Milliseconds, p95."""
_FEEDS_PER_SECOND, _UPLOADS_PER_SECOND = 50, 5
_READERS, _AUTHORS, _POSTS_PER_AUTHOR = 40, 4, 5
_POSTS_PER_UPLOADER: Final = 9
_THREADS: Final = 64

AIMS: Final = tuple(Aim(name=f"p95, {kind} / {target} ms", at_most=1) for kind, target in _TARGETS.items())


class Latencies:
    """Milliseconds from the time at which a request was due to its answer."""

    def __init__(self) -> None:
        self.of: dict[str, list[float]] = {kind: [] for kind in _TARGETS}
        self.refused = 0
        self._lock = threading.Lock()

    def measure(self, kind: str, due: float, send: Callable[[], httpx.Response]) -> httpx.Response:
        """Send a request that was due at this time, and record its latency."""
        response = send()
        with self._lock:
            self.of[kind].append((time.monotonic() - due) * 1000)
            self.refused += response.is_error
        return response


def main() -> None:
    """Prepare, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default=DEFAULT_URL)
    parser.add_argument("--seconds", type=int, default=20)
    arguments = parser.parse_args()
    readers = _register_readers(arguments.url)
    uploads = arguments.seconds * _UPLOADS_PER_SECOND
    uploaders = itertools.cycle([Caller(arguments.url, "uploader") for _ in range(uploads // _POSTS_PER_UPLOADER + 1)])
    photo, images, latencies = detailed_jpeg(2000, 1500), httpx.Client(timeout=30), Latencies()

    def read_feed(due: float, reader: Caller) -> None:
        posts = latencies.measure("feed", due, lambda: reader.http.get("/feed")).json()["posts"]
        url = random.choice(posts)["media"][0]["mediaUrl"]
        latencies.measure("image", time.monotonic(), lambda: images.get(url))

    def upload(due: float, uploader: Caller) -> None:
        files = {"media": ("photo.jpg", photo)}
        latencies.measure("upload", due, lambda: uploader.http.post("/posts", files=files))

    started = time.monotonic() + 0.5
    with ThreadPoolExecutor(_THREADS) as pool:
        for number in range(arguments.seconds * _FEEDS_PER_SECOND):
            due = started + number / _FEEDS_PER_SECOND
            time.sleep(max(0.0, due - time.monotonic()))
            pool.submit(read_feed, due, readers[number % len(readers)])
            if number % (_FEEDS_PER_SECOND // _UPLOADS_PER_SECOND) == 0:
                pool.submit(upload, due, next(uploaders))
    measured = {}
    for aim, (kind, target) in zip(AIMS, _TARGETS.items(), strict=True):
        of_kind = latencies.of[kind]
        p50, p95 = (statistics.quantiles(of_kind, n=100)[percent - 1] for percent in (50, 95))
        print(f"{kind:<7}{len(of_kind):5} requests, p50 {p50:6.1f} ms, p95 {p95:6.1f} ms")
        measured[aim] = p95 / target
    print(f"refused: {latencies.refused}")
    report("original_targets", measured)


def _register_readers(url: str) -> list[Caller]:
    """Create accounts whose feeds have 20 posts."""
    authors = [Caller(url, "author") for _ in range(_AUTHORS)]
    picture = detailed_jpeg(1200, 900)
    for author in authors:
        for post_id in [author.upload(picture) for _ in range(_POSTS_PER_AUTHOR)]:
            author.wait_until_published(post_id)
    readers = [Caller(url, "reader") for _ in range(_READERS)]
    for reader in readers:
        for author in authors:
            reader.request("POST", f"/users/{author.id}/follow")
    return readers


if __name__ == "__main__":
    main()
