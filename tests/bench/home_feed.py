"""The home feed over HTTP: a hit against raw granian that answers the same bytes, and a rebuild against a hit.

python -m tests.bench.home_feed [--rounds 5] [--seconds 2] [--requests 300]

One account follows 100 authors with 30 posts each; a page has 20 posts. A hit is a page that Valkey has, a rebuild the
same page after everything of it was removed from Valkey. Each host is one process with one worker and one connection to
each store. The first ratio is of requests per second under wrk with four connections, hosts in turn; the others compare
the latency of one connection that repeats the request. `chalice local` is a development server and no baseline: it is
shown without an aim. The CPU time of a host's process is printed too: on a busy machine it says more than the rate.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from uuid import UUID

import psutil
import redis

from layers.core.settings import settings
from tests.bench.aims import Aim, report
from tests.bench.feed_data import full_feed
from tests.bench.http_load import Connection, chalice_local, gateway, raw_granian, requests_per_second
from tests.support.feed_posts import forget_feed
from tests.support.people import Person
from tests.support.stack import load_environment

_PATH: Final = "/api/v1/feed"
_CONNECTIONS: Final = 4

RATE: Final = Aim(name="requests per second, hit / raw granian", at_least=0.12)
REBUILD: Final = Aim(name="latency, rebuild / hit", at_most=4)
AIMS: Final = (RATE, REBUILD)


def main() -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="how long wrk runs each time")
    parser.add_argument("--requests", type=int, default=300, help="requests of each kind on one connection")
    arguments = parser.parse_args()
    load_environment()
    with ExitStack() as stack:
        viewer = stack.enter_context(full_feed())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        served, port = stack.enter_context(gateway(folder))
        connection = Connection(port, _PATH, viewer.session_id)
        page = connection.get()
        print(f"{len(json.loads(page)['posts'])} posts, {len(page):,} bytes")
        raw, raw_port = stack.enter_context(raw_granian(folder, page))
        processes = {port: psutil.Process(served.process.pid), raw_port: psutil.Process(raw.process.pid)}
        rate = _compare_rates(processes, viewer, rounds=arguments.rounds, seconds=arguments.seconds)
        rebuild = _compare_rebuild(connection, viewer, page, requests=arguments.requests)
        _, chalice_port = stack.enter_context(chalice_local(folder))
        chalice = Connection(chalice_port, _PATH, viewer.session_id)
        _compare_with_chalice_local(connection, chalice, requests=arguments.requests // 5)
    report("home_feed", {RATE: rate, REBUILD: rebuild})


def _compare_rates(processes: Mapping[int, psutil.Process], viewer: Person, *, rounds: int, seconds: int) -> float:
    """Requests per second and CPU time of the gateway and of raw granian, in this order; the ratio of the rates."""
    rates: dict[int, list[float]] = {port: [] for port in processes}
    costs: dict[int, list[float]] = {port: [] for port in processes}
    for _ in range(rounds):
        for port, process in processes.items():
            used = sum(process.cpu_times()[:2])
            rate = requests_per_second(
                f"http://127.0.0.1:{port}{_PATH}",
                connections=_CONNECTIONS,
                seconds=seconds,
                session_id=viewer.session_id,
            )
            rates[port].append(rate)
            costs[port].append((sum(process.cpu_times()[:2]) - used) / (rate * seconds))
    hit, raw = (statistics.median(values) for values in rates.values())
    hit_cost, raw_cost = (statistics.median(values) for values in costs.values())
    print(f"hit:         {hit:8,.0f} requests/s, {hit_cost * 1e6:6.0f} us CPU each")
    print(f"raw granian: {raw:8,.0f} requests/s, {raw_cost * 1e6:6.0f} us CPU each")
    print(f"hit / raw granian: {hit / raw:.3f}, by CPU time {raw_cost / hit_cost:.3f}")
    return hit / raw


def _compare_rebuild(connection: Connection, viewer: Person, page: bytes, *, requests: int) -> float:
    """The latency of a rebuild against that of a hit."""
    post_ids = [UUID(post["id"]) for post in json.loads(page)["posts"]]
    hits: list[float] = []
    rebuilds: list[float] = []
    with redis.Redis.from_url(settings().valkey_url) as valkey:
        for _ in range(requests):
            _remove_page(valkey, viewer, post_ids)
            rebuilds.append(connection.measure())
            hits.append(connection.measure())
    rebuild, hit = statistics.median(rebuilds), statistics.median(hits)
    print(f"rebuild: {rebuild * 1000:.2f} ms, hit: {hit * 1000:.2f} ms, ratio {rebuild / hit:.2f}")
    return rebuild / hit


def _remove_page(valkey: redis.Redis, viewer: Person, post_ids: Sequence[UUID]) -> None:
    """Remove from Valkey everything that the page needs."""
    forget_feed(viewer)
    bits = (b"liked:" + viewer.id.bytes, b"saved:" + viewer.id.bytes)
    valkey.delete(*bits, *(b"post:" + post_id.bytes for post_id in post_ids))


def _compare_with_chalice_local(connection: Connection, chalice: Connection, *, requests: int) -> None:
    """The latency of the same handler in both hosts."""
    pairs = [(connection.measure(), chalice.measure()) for _ in range(requests)]
    hit, slow = (statistics.median(values) for values in zip(*pairs, strict=True))
    print(f"chalice local: {slow * 1000:.2f} ms, gateway: {hit * 1000:.2f} ms, ratio {slow / hit:.1f}")


if __name__ == "__main__":
    main()
