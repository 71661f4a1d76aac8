"""R-O1: the original design's targets at its own local scale, 50 feeds and 5 uploads a second for 20 s.

python tests/bench/original_targets.py [--url http://localhost:3000] [--seconds 20]

Requests begin when their moment has come, whether earlier ones were answered or not, so a slow answer delays no other
and its wait is counted. Beside each feed one of its pictures is fetched, as a phone would. The baseline is the
original's p95: feed 200 ms, upload 500 ms, image 50 ms.
"""

import argparse
import itertools
import os
import random
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
from feed_beside_uploads import Caller, phone_photo

TARGETS = {"feed": 200, "upload": 500, "image": 50}
"""Milliseconds, p95."""
FEEDS_A_SECOND, UPLOADS_A_SECOND = 50, 5
READERS, AUTHORS, POSTS_PER_AUTHOR = 40, 4, 5
THREADS = 64


class Measured:
    """Milliseconds from the moment a request was due to its answer."""

    def __init__(self) -> None:
        self.found: dict[str, list[float]] = {kind: [] for kind in TARGETS}
        self.refused = 0
        self._lock = threading.Lock()

    def run(self, kind: str, due: float, ask: Callable[[], httpx.Response]) -> httpx.Response:
        """Ask, and keep how long it took."""
        answer = ask()
        with self._lock:
            self.found[kind].append((time.monotonic() - due) * 1000)
            self.refused += answer.is_error
        return answer


def main() -> None:
    """Prepare, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("PHOTOGRAM_URL", "http://localhost:3000"))
    parser.add_argument("--seconds", type=int, default=20)
    given = parser.parse_args()
    readers = _readers(given.url)
    uploads = given.seconds * UPLOADS_A_SECOND
    uploaders = itertools.cycle([Caller(given.url, "uploader") for _ in range(uploads // 9 + 1)])
    photo, images, measured = phone_photo(2000, 1500), httpx.Client(timeout=30), Measured()

    def feed(due: float, reader: Caller) -> None:
        posts = measured.run("feed", due, lambda: reader.http.get("/feed")).json()["posts"]
        url = random.choice(posts)["media"][0]["mediaUrl"]
        measured.run("image", time.monotonic(), lambda: images.get(url))

    def upload(due: float, uploader: Caller) -> None:
        files = {"media": ("photo.jpg", photo)}
        measured.run("upload", due, lambda: uploader.http.post("/posts", files=files))

    started = time.monotonic() + 0.5
    with ThreadPoolExecutor(THREADS) as pool:
        for tick in range(given.seconds * FEEDS_A_SECOND):
            due = started + tick / FEEDS_A_SECOND
            time.sleep(max(0.0, due - time.monotonic()))
            pool.submit(feed, due, readers[tick % len(readers)])
            if tick % (FEEDS_A_SECOND // UPLOADS_A_SECOND) == 0:
                pool.submit(upload, due, next(uploaders))
    for kind, target in TARGETS.items():
        found = measured.found[kind]
        p50, p95 = (statistics.quantiles(found, n=100)[percent - 1] for percent in (50, 95))
        print(
            f"{kind:<7}{len(found):5} requests, p50 {p50:6.1f} ms, p95 {p95:6.1f} ms,"
            f" {p95 / target:.2f} of the original's {target} ms (aim: below 1)"
        )
    print(f"refused: {measured.refused}")


def _readers(url: str) -> list[Caller]:
    """People whose feeds hold 20 posts."""
    authors = [Caller(url, "author") for _ in range(AUTHORS)]
    picture = phone_photo(1200, 900)
    for author in authors:
        for post_id in [author.upload(picture) for _ in range(POSTS_PER_AUTHOR)]:
            author.until_published(post_id)
    readers = [Caller(url, "reader") for _ in range(READERS)]
    for reader in readers:
        for author in authors:
            reader.said("POST", f"/users/{author.id}/follow")
    return readers


if __name__ == "__main__":
    main()
