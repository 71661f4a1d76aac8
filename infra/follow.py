"""Follows the log of one function: from the log files of the local hosts, or from CloudWatch Logs in LocalStack.

python -m infra.follow posts/like_post [--host localstack] [--profile test]
"""

import argparse
import contextlib
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from infra.invoke.names import UsageError, find_function
from infra.localstack import cloud
from infra.stack.profiles import profile
from infra.template_map import Function

_PAST_SECONDS = 600
"""How far back the log from CloudWatch begins."""
_PAUSE_SECONDS = 1
_QUIET_SECONDS = 0.2
_BYTES = 65_536
_TIMESTAMP = re.compile(r'"timestamp":"([^"]+)"')
_PAST_LINES = 1000
"""How many lines of each log file are searched before new ones are followed."""


def main() -> int:
    """Print lines until interrupted; 2 if the function is unknown or not deployed."""
    parser = argparse.ArgumentParser(prog="python -m infra.follow", description=__doc__)
    parser.add_argument("function", help="for example posts/like_post")
    parser.add_argument("--host", choices=["local", "localstack"], default="local", help="where it runs")
    parser.add_argument("--profile", choices=["run", "test"], default="run", help="whose log files to read")
    arguments = parser.parse_args()
    try:
        function = find_function(arguments.function)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    is_local = arguments.host == "local"
    lines = _read_files(function, profile(arguments.profile).state) if is_local else _read_cloudwatch(function)
    try:
        with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
            for line in lines:
                print(line, flush=True)
    except (cloud.NotDeployed, *cloud.ERRORS) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _read_files(function: Function, state: Path) -> Iterator[str]:
    """The function's lines in the log files of all hosts, as they are written."""
    name = function.name.rpartition("/")[2]
    logs = [str(path) for path in sorted((state / "logs").glob("*.log"))]
    command = ["tail", "-q", "-n", str(_PAST_LINES), "-F", *logs]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tail:
        assert tail.stdout  # noqa: S101 (for the type checker)
        try:
            yield from in_order(tail.stdout.fileno(), f'"function":"{name}"')
        finally:
            tail.terminate()


def in_order(file: int, text: str) -> Iterator[str]:
    """The lines with this text that a file descriptor gives, until its end, in the order of their times.

    Lines of several files arrive file by file. They are sorted when none has arrived for 0.2 s, and after 1 s at most.
    """
    rest, waiting, since = b"", list[str](), 0.0
    while True:
        has_more = bool(select.select([file], [], [], _QUIET_SECONDS if waiting else None)[0])
        if has_more:
            data = os.read(file, _BYTES)
            *lines, rest = (rest + data).split(b"\n")
            since = since if waiting else time.monotonic()
            waiting += [line for each in lines if text in (line := each.decode(errors="replace"))]
            if data and time.monotonic() < since + _PAUSE_SECONDS:
                continue
        yield from sorted(waiting, key=_time)
        waiting.clear()
        if has_more and not data:
            return


def _time(line: str) -> str:
    found = _TIMESTAMP.search(line)
    return found[1] if found else ""


def _read_cloudwatch(function: Function) -> Iterator[str]:
    """The lines of all environments of the function, in the order of their times, as they arrive."""
    group = f"/aws/lambda/{cloud.function_name(function.logical_id)}"
    logs = cloud.client("logs")
    since = int((time.time() - _PAST_SECONDS) * 1000)
    seen: set[str] = set()
    while True:
        with contextlib.suppress(logs.exceptions.ResourceNotFoundException):  # it was never invoked
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since)
            for event in [event for page in pages for event in page["events"] if event["eventId"] not in seen]:
                seen.add(event["eventId"])
                yield event["message"].rstrip()
        time.sleep(_PAUSE_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
