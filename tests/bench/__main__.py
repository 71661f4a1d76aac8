"""Runs benchmarks one after the other, and prints the aims that were met and missed.

python -m tests.bench [NAME ...]

Each benchmark measures a ratio against a named baseline in its own run; a missed aim is printed and fails nothing. The
exit code is the number of benchmarks that did not finish.
"""

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.bench.aims import RESULTS_VARIABLE, Result, print_table, read_results
from tests.support.stack import ROOT

BENCHMARKS: Final = (
    "gateway",
    "home_feed",
    "feed_versions",
    "feed_beside_uploads",
    "original_targets",
    "fan_out",
    "login_timing",
    "photo_pipeline",
    "photo_waterfall",
    "direct_messages",
    "growth",
    "small_writes",
    "cold_start",
    "lambda_hosts",
    "recorded_events",
)


def main() -> int:
    """Run the given benchmarks, or all; the number of those that did not finish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}; all by default")
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := sorted(set(names) - set(BENCHMARKS)):
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        unfinished = [name for name in names if not _run(name, file.name)]
        results = read_results(Path(file.name))
    print_table([*results, *_list_unmeasured(names, results)])
    if unfinished:
        print(f"not finished: {', '.join(unfinished)}")
    return len(unfinished)


def _run(name: str, results_file: str) -> bool:
    """Run a benchmark in a process of its own; whether it finished."""
    print(f"\n== {name}", flush=True)
    started = time.monotonic()
    environment = {**os.environ, RESULTS_VARIABLE: results_file}
    run = subprocess.run([sys.executable, "-m", f"tests.bench.{name}"], cwd=ROOT, env=environment, check=False)
    print(f"== {name}: {time.monotonic() - started:.0f} s", flush=True)
    return run.returncode == 0


def _list_unmeasured(names: Sequence[str], results: Sequence[Result]) -> Iterator[Result]:
    measured = {(result.benchmark, result.aim) for result in results}
    for name in names:
        for aim in importlib.import_module(f"tests.bench.{name}").AIMS:
            if (name, aim) not in measured:
                yield Result(benchmark=name, aim=aim, measured=None)


if __name__ == "__main__":
    sys.exit(main())
