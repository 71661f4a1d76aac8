"""Fan-out of one post to 20,000 followers, against a loop of LPUSH and LTRIM, one by one. Aim: at least 20.

python tests/bench/fan_out.py [--followers 20000] [--rounds 5]

Both sides push into full timelines of their own on the same Valkey, in turn. Ours is `timelines.push` in the batches
of the queue function.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID

import redis

sys.path.insert(0, str(Path(__file__).parents[2]))

from layers.core.ids import new_id
from layers.core.settings import settings
from layers.valkey import timelines
from tests.support.stack import load_environment

BATCH = 1000
FULL = 500


def batches(user_ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    """As `feeds.audience` gives them."""
    for start in range(0, len(user_ids), BATCH):
        yield user_ids[start : start + BATCH]


def one_by_one(client: redis.Redis, keys: Sequence[bytes], post_id: UUID) -> None:
    """Two round trips per follower, as the reference server does it."""
    for key in keys:
        client.lpush(key, post_id.bytes)
        client.ltrim(key, 0, FULL - 1)


def fill(client: redis.Redis, keys: Sequence[bytes], *, sentinel: bytes | None) -> None:
    """Full timelines."""
    entries = [new_id().bytes for _ in range(FULL)][::-1]
    with client.pipeline(transaction=False) as pipeline:
        for place, key in enumerate(keys, start=1):
            pipeline.rpush(key, *entries, *([sentinel] if sentinel else []))
            pipeline.expire(key, 3600)
            if place % BATCH == 0:
                pipeline.execute()
        pipeline.execute()


def main() -> None:
    """Measure both sides in turn and print the ratio of their medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--followers", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    load_environment()
    client = redis.Redis.from_url(settings().valkey_url, single_connection_client=True)
    user_ids = [new_id() for _ in range(given.followers)]
    ours = [b"timeline:" + user_id.bytes for user_id in user_ids]
    theirs = [b"bench:" + user_id.bytes for user_id in user_ids]
    try:
        fill(client, ours, sentinel=b"\0\0T" + bytes(13) + bytes(16))
        fill(client, theirs, sentinel=None)
        batched: list[float] = []
        looped: list[float] = []
        for _ in range(given.rounds):
            post_id = new_id()
            started = time.perf_counter()
            timelines.publish(post_id, user_ids[0], batches(user_ids))
            batched.append(time.perf_counter() - started)
            started = time.perf_counter()
            one_by_one(client, theirs, post_id)
            looped.append(time.perf_counter() - started)
    finally:
        for start in range(0, len(ours), BATCH):
            client.unlink(*ours[start : start + BATCH], *theirs[start : start + BATCH])
    fast, slow = statistics.median(batched), statistics.median(looped)
    print(f"batches:    {fast * 1000:8.1f} ms, {given.followers / fast:10,.0f} timelines/s")
    print(f"one by one: {slow * 1000:8.1f} ms, {given.followers / slow:10,.0f} timelines/s")
    print(f"ratio: {slow / fast:.1f} (aim: at least 20)")


if __name__ == "__main__":
    main()
