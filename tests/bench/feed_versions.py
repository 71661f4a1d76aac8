"""The home feed of the working tree against that of an earlier commit, in one run.

python -m tests.bench.feed_versions [--commit HEAD~1] [--rounds 150]

Each version is read by a process of its own (`feed_reader`), with its own Valkey database and the same rows in
PostgreSQL. A hit is a page of 20 posts that Valkey has; a rebuild is the same page after everything was removed from
Valkey; a request is a hit through the handler, with session and rate limit. Versions take turns within each round, and
the first one alternates. Ratios are medians of the rounds' ratios, new against old.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
import redis

from layers.core.settings import settings
from tests.bench.aims import Aim, report
from tests.bench.feed_data import full_feed
from tests.support.people import Person
from tests.support.stack import ROOT, load_environment

_CALLS: Final = {"hit": 20, "rebuild": 3, "request": 20}
"""How often each version is called in a round: short rounds, so that other loads of the machine affect both alike."""
_DATABASES: Final = {"old": 14, "new": 15}
_NO_LIMITS: Final = {"general": [10**9, 1], "feed": [10**9, 1]}

AIMS: Final = tuple(Aim(name=f"time of a {kind}, new / old", at_most=1.05) for kind in _CALLS)


class Times(msgspec.Struct, frozen=True):
    """What one call takes: medians of a round, in seconds."""

    wall: float
    cpu: float
    """Of the process that reads, without the stores."""


class Reader:
    """A process that reads the feed with the code of one folder."""

    def __init__(self, folder: Path, viewer: Person, valkey_url: str, metrics_folder: str) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(folder),
            "VALKEY_URL": valkey_url,
            "RATE_LIMITS": json.dumps(_NO_LIMITS),
            "PROMETHEUS_MULTIPROC_DIR": metrics_folder,
        }
        who = [str(viewer.id), viewer.username, viewer.session_id]
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "bench" / "feed_reader.py"), str(folder), *who],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def measure(self, kind: str) -> Times:
        """Read so many times as a round has."""
        assert self._process.stdin
        assert self._process.stdout
        print(kind, _CALLS[kind], file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            sys.exit("a reader has ended early")
        return msgspec.json.decode(line, type=Times)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A folder with the files of a commit."""
    git = ["git", "-C", str(ROOT)]
    with tempfile.TemporaryDirectory(prefix="photogram-bench-") as folder:
        subprocess.run([*git, "worktree", "add", "--quiet", "--detach", folder, commit], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", folder], check=True)


def main() -> None:
    """Measure both versions in turn and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commit", default="HEAD~1", help="the earlier version")
    parser.add_argument("--rounds", type=int, default=150)
    arguments = parser.parse_args()
    load_environment()
    with ExitStack() as stack:
        folders = {"old": stack.enter_context(checked_out(arguments.commit)), "new": ROOT}
        viewer = stack.enter_context(full_feed())
        readers = {}
        for version, folder in folders.items():
            valkey_url = urlsplit(settings().valkey_url)._replace(path=f"/{_DATABASES[version]}").geturl()
            client = stack.enter_context(redis.Redis.from_url(valkey_url))
            stack.callback(client.flushdb)
            metrics_folder = stack.enter_context(tempfile.TemporaryDirectory())
            readers[version] = Reader(folder, viewer, valkey_url, metrics_folder)
            stack.callback(readers[version].close)
        rounds = [_measure_round(readers, is_old_first=number % 2 == 0) for number in range(arguments.rounds)]
    report("feed_versions", {aim: _print_kind(kind, rounds) for aim, kind in zip(AIMS, _CALLS, strict=True)})


def _measure_round(readers: dict[str, Reader], *, is_old_first: bool) -> dict[tuple[str, str], Times]:
    order = ("old", "new") if is_old_first else ("new", "old")
    return {(kind, version): readers[version].measure(kind) for kind in _CALLS for version in order}


def _print_kind(kind: str, rounds: list[dict[tuple[str, str], Times]]) -> float:
    """Print what a call takes in both versions; the ratio of the wall-clock times."""
    sides = {version: [each[kind, version] for each in rounds] for version in _DATABASES}
    for version, times in sides.items():
        wall, cpu = (
            statistics.median(values) for values in zip(*((each.wall, each.cpu) for each in times), strict=True)
        )
        print(f"{kind:<8} {version}: {wall * 1e6:8.1f} us, of these {cpu * 1e6:8.1f} us CPU of the reader")
    pairs = list(zip(sides["new"], sides["old"], strict=True))
    ratio = statistics.median(new.wall / old.wall for new, old in pairs)
    cpu_ratio = statistics.median(new.cpu / old.cpu for new, old in pairs)
    print(f"{kind:<8} new / old: {ratio:.3f}, by CPU time {cpu_ratio:.3f}")
    return ratio


if __name__ == "__main__":
    main()
