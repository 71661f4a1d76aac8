"""Fan-out of one post to 5,000 followers, against pipelines of the same work.

python -m tests.bench.fan_out [--followers 5000] [--rounds 7]

Ours is `timelines.push` in the batches of `layers.services.fan_out`. The baseline does for each follower what a
timeline needs at least, `LPUSHX` and `LTRIM`, with redis-py's pipelines of the same batch size: it also makes one round
trip per batch. Both push into full timelines of their own in the same Valkey, in turn. The CPU time of this process is
printed too: the rest is Valkey's.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import batched
from typing import Final

import redis

from layers.core.ids import new_id
from layers.core.settings import settings
from layers.valkey import timelines
from tests.bench.aims import Aim, report
from tests.support.stack import load_environment

_BATCH: Final = 1000
_SLACK: Final = 50
"""A timeline is cut when it has so many entries too many: here one of fifty in each push, as in the long run."""
_SENTINEL: Final = b"\0\0T" + bytes(13) + bytes(16)
"""The end of a full timeline."""

RATIO: Final = Aim(name="time, pipelines / fan-out", at_least=2)
AIMS: Final = (RATIO,)


def main() -> None:
    """Measure both sides in turn and print the ratio of their medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--followers", type=int, default=5000, help="at most some 20,000 fit in Valkey's 512 MB")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    load_environment()
    user_ids = [new_id() for _ in range(arguments.followers)]
    keys = [b"bench:" + user_id.bytes for user_id in user_ids]
    with redis.Redis.from_url(settings().valkey_url, single_connection_client=True) as client:

        def push_by_script() -> None:
            post_id = new_id()
            for some in batched(user_ids, _BATCH, strict=False):
                timelines.push(some, post_id)

        def push_by_pipelines() -> None:
            post_id = new_id()
            for some in batched(keys, _BATCH, strict=False):
                with client.pipeline(transaction=False) as pipeline:
                    for key in some:
                        pipeline.lpushx(key, post_id.bytes)
                        pipeline.ltrim(key, 0, timelines.MAX_ENTRIES - 1)
                    pipeline.execute()

        timeline_keys = [b"timeline:" + user_id.bytes for user_id in user_ids]
        try:
            _fill(client, timeline_keys, slack=_SLACK, sentinel=_SENTINEL)
            _fill(client, keys)
            push_by_script()
            push_by_pipelines()
            rounds = [(_measure(push_by_script), _measure(push_by_pipelines)) for _ in range(arguments.rounds)]
            lengths = [client.llen(key) for key in (*timeline_keys[::_SLACK], *keys[::_SLACK])]
        finally:
            for some in batched(timeline_keys + keys, _BATCH, strict=False):
                client.unlink(*some)
    assert min(lengths) >= timelines.MAX_ENTRIES, "Valkey has evicted timelines"
    for name, sides in zip(("fan-out", "pipelines"), zip(*rounds, strict=True), strict=True):
        wall, cpu = (statistics.median(values) for values in zip(*sides, strict=True))
        rate = arguments.followers / wall
        print(
            f"{name + ':':<11}{wall * 1000:7.1f} ms, {rate:9,.0f} timelines/s, {cpu * 1000:6.1f} ms CPU of the client"
        )
    report("fan_out", {RATIO: statistics.median(theirs[0] / ours[0] for ours, theirs in rounds)})


def _measure(push: Callable[[], None]) -> tuple[float, float]:
    """Wall-clock and CPU seconds."""
    started, used = time.perf_counter(), time.process_time()
    push()
    return time.perf_counter() - started, time.process_time() - used


def _fill(client: redis.Redis, keys: Sequence[bytes], *, slack: int = 1, sentinel: bytes | None = None) -> None:
    """Fill the timelines, each with up to `slack` entries more than are kept; they expire after an hour."""
    entries = sorted((new_id().bytes for _ in range(timelines.MAX_ENTRIES + slack)), reverse=True)
    for some in batched(keys, _BATCH, strict=False):
        with client.pipeline(transaction=False) as pipeline:
            for number, key in enumerate(some):
                kept = entries[: timelines.MAX_ENTRIES + number % slack]
                pipeline.rpush(key, *kept, *([sentinel] if sentinel else []))
                pipeline.expire(key, 3600)
            pipeline.execute()


if __name__ == "__main__":
    main()
