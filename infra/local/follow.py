"""Follows the log of one function: of our own hosts, or CloudWatch's in LocalStack.

python -m infra.local.follow posts/like_post [--host localstack] [--profile test]
"""

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from infra.local.invoke import Unusable, function_named
from infra.localstack import cloud
from infra.stack.profiles import profile
from infra.template_map import Function

_BEFORE_SECONDS = 600
"""How much of the past is shown first."""
_PAUSE_SECONDS = 1
_MANY = 1000


def main() -> int:
    """Print lines as they come, until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.follow", description=__doc__)
    parser.add_argument("function", help="as in posts/like_post")
    parser.add_argument("--host", choices=["local", "localstack"], default="local", help="where it runs")
    parser.add_argument("--profile", choices=["run", "test"], default="run")
    given = parser.parse_args()
    try:
        function = function_named(given.function)
    except Unusable as error:
        print(error, file=sys.stderr)
        return 2
    lines = _cloudwatch(function) if given.host == "localstack" else _local(function, profile(given.profile).state)
    try:
        with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
            for line in lines:
                print(line, flush=True)
    except (cloud.NotDeployed, *cloud.AWAY) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _local(function: Function, state: Path) -> Iterator[str]:
    """The lines of every host that tell of this function."""
    name = function.name.rpartition("/")[2]
    logs = [str(path) for path in sorted((state / "logs").glob("*.log"))]
    with subprocess.Popen(["tail", "-q", "-n", str(_MANY), "-F", *logs], stdout=subprocess.PIPE, text=True) as tail:
        try:
            for line in tail.stdout or ():
                if f'"function":"{name}"' in line:
                    yield line.rstrip()
        finally:
            tail.terminate()


def _cloudwatch(function: Function) -> Iterator[str]:
    """The lines of every environment of this function, in the order of their times."""
    group = f"/aws/lambda/{cloud.function_name(function.logical_id)}"
    logs = cloud.client("logs")
    since = int((time.time() - _BEFORE_SECONDS) * 1000)
    told: set[str] = set()
    while True:
        with contextlib.suppress(logs.exceptions.ResourceNotFoundException):  # not invoked yet
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since)
            for event in [event for page in pages for event in page["events"] if event["eventId"] not in told]:
                told.add(event["eventId"])
                yield event["message"].rstrip()
        time.sleep(_PAUSE_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
