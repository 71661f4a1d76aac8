"""How the time of reads grows with the data: a large database against a small one, over HTTP, with one connection.

python -m tests.bench.growth [--accounts 200000] [--posts 2000000] [--follows 4000000] [--followed 20000] [--rounds 40]

Both databases are made by `growth_data` on the test stack's PostgreSQL and dropped at the end; the small one has a
hundredth of the rows. Each is served by a process of its own with one connection to each store and its own Valkey
database. Reads of both take turns. The reader follows 50 accounts, the busy reader `--followed` (a hundredth in the
small one). A feed is cold when Valkey has nothing but sessions. Making the large database takes some 4 minutes, and
3 GB on the disk.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec
import psycopg
import redis
from psycopg import sql

from infra.migrate import migrate_postgres
from layers.core.settings import settings
from layers.postgres import connection
from tests.bench import growth_data
from tests.bench.aims import Aim, report
from tests.bench.growth_data import Data, Reader, Size
from tests.bench.http_load import NO_LIMITS, Connection
from tests.support.hosts import free_port, running
from tests.support.stack import load_environment

_SMALLER: Final = 100
_VALKEY_DATABASES: Final = {"small": 10, "large": 11}
_DEEP_PAGES: Final = 20

_TEXTS: Final = {
    "an": "many have it",
    "a_": "many have it, with a sign",
    "qu": "some have it",
    "xu": "few have it",
    "qz": "nobody has it",
    "r0": "many have it, nobody with many followers",
    "ann": "many have it",
    "uer": "some have it",
    "qzq": "nobody has it",
    "er0": "many have it, nobody with many followers",
    "ИВАН": "some have it, in another case",
    "user0": "many have it, nobody with many followers",
    "zimmermann": "some have it",
}
"""Texts to search for, and how many names have them."""

SEARCH: Final = Aim(name="slowest search, ms", at_most=10)
FEED: Final = Aim(name="cold feed of who follows most, ms", at_most=60)
TRAY: Final = Aim(name="tray of who follows most, ms", at_most=20)
OTHERS: Final = Aim(name="slowest growth of the other reads, large / small", at_most=1.5)
AIMS: Final = (SEARCH, FEED, TRAY, OTHERS)


class Read(msgspec.Struct, frozen=True):
    """A request whose time is measured in both databases."""

    name: str
    aim: Aim
    path: str
    reader: Reader | None
    """None is an anonymous one."""
    prepare: Callable[[], object] = lambda: None
    """What is done before each request, outside of its time."""


class Side:
    """A database with its data, and the process that serves it."""

    def __init__(self, data: Data, port: int, valkey: redis.Redis) -> None:
        self._data = data
        self._port = port
        self._valkey = valkey
        self.reads: Sequence[Read] = [*self._search_reads(), *self._feed_reads(), *self._other_reads()]
        self._connections = [self._connect(read.path, read.reader) for read in self.reads]

    def measure(self, number: int) -> float:
        """Milliseconds that one of the reads takes."""
        self.reads[number].prepare()
        return self._connections[number].measure() * 1000

    def count_bytes(self, number: int) -> int:
        """The length of an answer."""
        return len(self._connections[number].get())

    def _connect(self, path: str, reader: Reader | None) -> Connection:
        return Connection(self._port, f"/api/v1{path}", reader.session_id if reader else "")

    def _search_reads(self) -> Iterator[Read]:
        for text, note in _TEXTS.items():
            yield Read(f"search {text}: {note}", SEARCH, f"/users/search/users?q={quote(text)}", self._data.reader)
        yield Read("search an, 100 accounts", SEARCH, "/users/search/users?q=an&limit=100", None)

    def _feed_reads(self) -> Iterator[Read]:
        for name, reader, aim in (("feed", self._data.reader, OTHERS), ("busy feed", self._data.busy_reader, FEED)):
            yield Read(f"{name}, cold", aim, "/feed", reader, self._empty_caches)
            yield Read(f"{name}, hit", OTHERS, "/feed", reader)
        yield Read("tray", OTHERS, "/stories/tray", self._data.reader)
        yield Read("busy tray", TRAY, "/stories/tray", self._data.busy_reader)

    def _other_reads(self) -> Iterator[Read]:
        reader, busy, popular = self._data.reader, self._data.busy_reader, f"/users/{self._data.popular}"
        hot = f"/posts/{self._data.hot_post_id}"
        lists = {
            "explore": "/feed/explore",
            "hot post's comments": f"{hot}/comments",
            "hot post's likes": f"{hot}/likes",
            "followers of the most followed": f"{popular}/followers",
            "followed by the busy reader": f"/users/{busy.username}/following",
            "grid of the most followed": f"{popular}/posts",
        }
        for name, path in lists.items():
            yield Read(name, OTHERS, path, reader)
            yield Read(f"{name}, page {_DEEP_PAGES}", OTHERS, self._deep_path(path, reader), reader)
        yield Read("busy explore", OTHERS, lists["explore"], busy)
        yield Read("explore, anonymous", OTHERS, lists["explore"], None)
        yield Read("profile of the most followed", OTHERS, popular, reader)
        yield Read("hot post", OTHERS, hot, reader)
        yield Read("own grid", OTHERS, f"/users/{busy.username}/posts", busy)

    def _deep_path(self, path: str, reader: Reader) -> str:
        """The path of a page far behind, or of the last one if there are fewer; pages of two rows."""
        deep = f"{path}?limit=2"
        for _ in range(_DEEP_PAGES - 1):
            cursor = json.loads(self._connect(deep, reader).get())["nextCursor"]
            if cursor is None:
                break
            deep = f"{path}?limit=2&cursor={cursor}"
        return deep

    def _empty_caches(self) -> None:
        """Remove everything from Valkey but sessions."""
        keys = [key for key in self._valkey.scan_iter(count=10_000) if not key.startswith(b"session")]
        if keys:
            self._valkey.unlink(*keys)


def main() -> None:
    """Make the data, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=200_000)
    parser.add_argument("--posts", type=int, default=2_000_000)
    parser.add_argument("--follows", type=int, default=4_000_000)
    parser.add_argument("--followed", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    load_environment()
    numbers = {name: getattr(arguments, name) for name in Size.__struct_fields__}
    sizes = {
        "small": Size(**{name: max(1, number // _SMALLER) for name, number in numbers.items()}),
        "large": Size(**numbers),
    }
    with ExitStack() as stack:
        sides = [stack.enter_context(side(name, size)) for name, size in sizes.items()]
        medians = _measure(sides, rounds=arguments.rounds)
        lengths = [sides[1].count_bytes(number) for number in range(len(medians))]
    _report(sides[0].reads, medians, lengths)


@contextmanager
def side(name: str, size: Size) -> Iterator[Side]:
    """A database of this size and a process that serves it; the database is dropped in the end."""
    with ExitStack() as stack:
        url = stack.enter_context(database(f"bench_growth_{name}"))
        started = time.monotonic()
        data = growth_data.make(size)
        print(f"{name}: {size} in {time.monotonic() - started:.0f} s", flush=True)
        valkey_url = urlsplit(settings().valkey_url)._replace(path=f"/{_VALKEY_DATABASES[name]}").geturl()
        valkey = stack.enter_context(redis.Redis.from_url(valkey_url))
        valkey.flushdb()
        stack.callback(valkey.flushdb)
        port = free_port()
        log_file = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "host.log"
        environment = {"DATABASE_URL": url, "VALKEY_URL": valkey_url, "RATE_LIMITS": NO_LIMITS}
        command = [sys.executable, "-m", "infra.local.serve", "--port", str(port)]
        stack.enter_context(running(command, address=port, log_file=log_file, environment=environment))
        yield Side(data, port, valkey)


@contextmanager
def database(name: str) -> Iterator[str]:
    """A new database with the schema, which is the one of the settings until the next is created; its URL."""
    server = os.environ["DATABASE_URL"]
    url = urlsplit(server)._replace(path=f"/{name}").geturl()
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    with psycopg.connect(server, autocommit=True) as db:
        db.execute(drop)
        db.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        _use(url)
        migrate_postgres()
        yield url
    finally:
        _use(server)
        with psycopg.connect(server, autocommit=True) as db:
            db.execute(drop)


def _use(url: str) -> None:
    connection.close()
    os.environ["DATABASE_URL"] = url
    settings.cache_clear()


def _measure(sides: Sequence[Side], *, rounds: int) -> list[tuple[float, ...]]:
    """The medians of each read on each side, in ms."""
    times: list[list[list[float]]] = [[[] for _ in sides] for _ in sides[0].reads]
    for _ in range(rounds):
        for number, of_read in enumerate(times):
            for each, of_side in zip(sides, of_read, strict=True):
                of_side.append(each.measure(number))
    return [tuple(statistics.median(of_side) for of_side in of_read) for of_read in times]


def _report(reads: Sequence[Read], medians: Sequence[tuple[float, ...]], lengths: Sequence[int]) -> None:
    """Print the table, and report the aims."""
    print(f"\n{'read':<58}{'small ms':>10}{'large ms':>10}{'ratio':>8}{'bytes':>10}")
    worst: Mapping[Aim, list[float]] = {aim: [] for aim in AIMS}
    for read, (small, large), length in zip(reads, medians, lengths, strict=True):
        print(f"{read.name:<58}{small:>10.2f}{large:>10.2f}{large / small:>8.2f}{length:>10,}")
        worst[read.aim].append(large / small if read.aim is OTHERS else large)
    report("growth", {aim: max(figures) for aim, figures in worst.items()})


if __name__ == "__main__":
    main()
