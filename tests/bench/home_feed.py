"""The home feed through its host: warm against raw granian answering the same bytes, cold against warm, and all of it
against `chalice local`. Aims: warm at least 0.12 of raw, cold at most 4 times warm, at least 20 times `chalice local`.

python tests/bench/home_feed.py [--rounds 5] [--seconds 2] [--requests 300]

One viewer follows 100 authors with 30 posts each; pages have 20 posts. Every host is one process with one connection
to each store. Sides take turns within the run. `wrk` puts on the load for the first ratio; the others compare the
latency of one connection that asks again as soon as it was answered. The processor seconds of a host's process are
printed too: on a busy machine they say more than requests per second.
"""

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import redis

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from layers.core.settings import settings  # noqa: E402
from layers.postgres.connection import transaction  # noqa: E402
from tests.support.feed_posts import aged_id, forget_feed, published  # noqa: E402
from tests.support.people import Person, follow, new_person  # noqa: E402
from tests.support.stack import load_environment  # noqa: E402

AUTHORS, POSTS, PAGE = 100, 30, 20
MONTH_MS = 30 * 24 * 60 * 60 * 1000
NO_LIMITS = {"general": [10**9, 1], "feed": [10**9, 1]}
CONNECTIONS = 4
READY_SECONDS = 30


class Client:
    """One kept-alive connection."""

    def __init__(self, port: int, session_id: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = (
            f"GET /api/v1/feed HTTP/1.1\r\nHost: localhost:{port}\r\nCookie: session_id={session_id}\r\n\r\n"
        ).encode()

    def ask(self) -> bytes:
        """The answer's body; anything but 200 ends the run."""
        self._socket.sendall(self._request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._received()
        head, _, body = received.partition(b"\r\n\r\n")
        if not re.match(rb"HTTP/1.[01] 200", head):
            sys.exit(f"{head.decode()}\n{body.decode()[:500]}")
        found = re.search(rb"(?i)content-length: *(\d+)", head)
        length = int(found[1]) if found else 0
        parts, missing = [body], length - len(body)
        while missing > 0:
            parts.append(self._received())
            missing -= len(parts[-1])
        return b"".join(parts)

    def seconds(self) -> float:
        """How long one answer takes."""
        started = time.perf_counter()
        self.ask()
        return time.perf_counter() - started

    def _received(self) -> bytes:
        data = self._socket.recv(1 << 20)
        if not data:
            sys.exit("the host closed the connection")
        return data


@contextmanager
def household() -> Iterator[Person]:
    """A viewer with full feed; all is removed in the end."""
    viewer, authors = new_person("viewer"), [new_person(f"author{n}") for n in range(AUTHORS)]
    try:
        now = int(time.time() * 1000)
        for author in authors:
            follow(viewer, author)
            for _ in range(POSTS):
                published(author, aged_id(now - random.randrange(MONTH_MS)))
        with transaction() as db:
            db.execute("ANALYZE posts, post_media, follows, users")
        yield viewer
    finally:
        with transaction() as db:
            db.execute("DELETE FROM users WHERE id = ANY(%s)", [[person.id for person in (viewer, *authors)]])


@contextmanager
def host(*command: str, port: int) -> Iterator[psutil.Process]:
    """A host process, listening."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"RATE_LIMITS": json.dumps(NO_LIMITS), "PYTHONPATH": path}
    silent = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=silent, stderr=silent) as process:
        try:
            deadline = time.monotonic() + READY_SECONDS
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    if time.monotonic() > deadline or process.poll() is not None:
                        sys.exit(f"{' '.join(command)} does not listen on {port}")
                    time.sleep(0.1)
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def requests_per_second(port: int, session_id: str, seconds: float) -> float:
    """Under the load of wrk."""
    wrk = shutil.which("wrk")
    if wrk is None:
        sys.exit("wrk is missing (Debian package wrk)")
    told = subprocess.run(
        [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-H", f"Cookie: session_id={session_id}",
         f"http://127.0.0.1:{port}/api/v1/feed"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    if "Non-2xx" in told:
        sys.exit(told)
    return float(told.partition("Requests/sec:")[2].split()[0])


def forget(client: redis.Redis, viewer: Person, post_ids: list[UUID]) -> None:
    """All that Valkey knows of the page."""
    forget_feed(viewer)
    bits = (b"liked:" + viewer.id.bytes, b"saved:" + viewer.id.bytes)
    client.delete(*bits, *(b"post:" + post_id.bytes for post_id in post_ids))


def serve_raw(port: int, body: bytes) -> None:
    """Granian, answering these bytes to everything."""
    from granian.constants import Interfaces  # noqa: PLC0415 (this process is another)
    from granian.log import LogLevels  # noqa: PLC0415
    from granian.server.embed import Server  # noqa: PLC0415

    class Raw:
        async def __rsgi__(self, scope: object, exchange: Any) -> None:
            exchange.response_bytes(200, [("content-type", "application/json")], body)

    server = Server(
        Raw(), address="127.0.0.1", port=port, interface=Interfaces.RSGI, websockets=False, log_level=LogLevels.error
    )
    asyncio.run(server.serve())


def main() -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of each spell of wrk")
    parser.add_argument("--requests", type=int, default=300, help="of each kind on one connection")
    parser.add_argument("--raw", nargs=2, metavar=("PORT", "FILE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.raw:
        serve_raw(int(given.raw[0]), Path(given.raw[1]).read_bytes())
        return
    load_environment()
    with ExitStack() as stack:
        viewer = stack.enter_context(household())
        ours, raw, chalice = free_port(), free_port(), free_port()
        serve = stack.enter_context(host(sys.executable, "-m", "infra.local.serve", "--port", str(ours), port=ours))
        client = Client(ours, viewer.session_id)
        page = client.ask()
        kept = Path(f"/tmp/photogram-bench-{os.getpid()}.json")  # noqa: S108 (removed below)
        kept.write_bytes(page)
        stack.callback(kept.unlink)
        bare = stack.enter_context(host(sys.executable, __file__, "--raw", str(raw), str(kept), port=raw))
        slow = (str(Path(sys.executable).with_name("chalice")), "--project-dir", "infra/chalice", "local")
        stack.enter_context(host(*slow, "--no-autoreload", "--port", str(chalice), port=chalice))
        print(f"{len(json.loads(page)['posts'])} posts, {len(page):,} bytes")
        against_raw(given, {ours: serve, raw: bare}, viewer)
        against_cold(given, client, viewer, page)
        against_chalice(given, client, Client(chalice, viewer.session_id))


def against_raw(given: argparse.Namespace, hosts: dict[int, psutil.Process], viewer: Person) -> None:
    """Requests per second, warm; and what they cost the host's process."""
    rates: dict[int, list[float]] = {port: [] for port in hosts}
    costs: dict[int, list[float]] = {port: [] for port in hosts}
    for _ in range(given.rounds):
        for port, process in hosts.items():
            used = sum(process.cpu_times()[:2])
            rate = requests_per_second(port, viewer.session_id, given.seconds)
            rates[port].append(rate)
            costs[port].append((sum(process.cpu_times()[:2]) - used) / (rate * given.seconds))
    warm, bare = (statistics.median(several) for several in rates.values())
    cost, floor = (statistics.median(several) for several in costs.values())
    print(f"warm: {warm:8,.0f} requests/s, {cost * 1e6:6.0f} us of processor each")
    print(f"raw:  {bare:8,.0f} requests/s, {floor * 1e6:6.0f} us of processor each")
    print(f"warm/raw: {warm / bare:.3f} (aim: at least 0.12); by processor time {floor / cost:.3f}")


def against_cold(given: argparse.Namespace, client: Client, viewer: Person, page: bytes) -> None:
    """Latency with and without anything of the page in Valkey."""
    post_ids = [UUID(post["id"]) for post in json.loads(page)["posts"]]
    valkey = redis.Redis.from_url(settings().valkey_url)
    warm: list[float] = []
    cold: list[float] = []
    for _ in range(given.requests):
        forget(valkey, viewer, post_ids)
        cold.append(client.seconds())
        warm.append(client.seconds())
    lasts, takes = statistics.median(cold), statistics.median(warm)
    print(f"cold: {lasts * 1000:.2f} ms, warm: {takes * 1000:.2f} ms")
    print(f"cold/warm: {lasts / takes:.2f} (aim: at most 4)")


def against_chalice(given: argparse.Namespace, client: Client, slow: Client) -> None:
    """Latency of the same handler in `chalice local`."""
    fast, slower = [], []
    for _ in range(given.requests // 5):
        fast.append(client.seconds())
        slower.append(slow.seconds())
    takes, lasts = statistics.median(fast), statistics.median(slower)
    print(f"chalice local: {lasts * 1000:.2f} ms, ours: {takes * 1000:.2f} ms")
    print(f"chalice local/ours: {lasts / takes:.1f} (aim: at least 20)")


if __name__ == "__main__":
    main()
