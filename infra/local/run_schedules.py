"""The schedule runner: fires every `Type: Schedule` event of template.yaml with EventBridge's event.

python -m infra.local.run_schedules --now stories/delete_expired_stories

Each schedule has its own thread and its own environment in a child process: a slow function delays no other schedule,
and never runs twice at the same time. `infra.local.run_triggers` starts it; the command above runs one function once.
"""

import argparse
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from infra import template_map
from infra.environments.child_process import ChildProcessEnvironment
from infra.environments.in_process import InProcessEnvironment
from infra.environments.invocation import InvocationFailed
from infra.events import recorded
from infra.events.schedule import build_event, next_time
from infra.template_map import Schedule
from layers.core.errors import StoreUnavailable
from layers.core.logging import logger
from layers.valkey import heartbeats

type NextTime = Callable[[str, datetime], datetime]
"""The first time after a moment at which an expression fires."""

_BEAT_SECONDS = 15
_KEEP_ALIVE = timedelta(minutes=5)
"""A function whose next time is further away than this does not keep its process."""


class Timer(threading.Thread):
    """Fires one schedule until `stopping` is set; goes on after failures of its function."""

    def __init__(self, schedule: Schedule, stopping: threading.Event, *, next_time: NextTime = next_time) -> None:
        super().__init__(name=schedule.function.name)
        self._schedule = schedule
        self._stopping = stopping
        self._next_time = next_time
        self._keeps_process = self._interval(datetime.now(UTC)) <= _KEEP_ALIVE
        make = ChildProcessEnvironment.started if self._keeps_process else ChildProcessEnvironment
        self._environment = make(schedule.function.handler)

    def _interval(self, after: datetime) -> timedelta:
        due = self._next_time(self._schedule.expression, after)
        return self._next_time(self._schedule.expression, due) - due

    def run(self) -> None:
        """Wait and fire, repeatedly; times that pass while the function still runs are skipped."""
        while True:
            due = self._next_time(self._schedule.expression, datetime.now(UTC))
            while (seconds := (due - datetime.now(UTC)).total_seconds()) > 0:
                if self._stopping.wait(seconds):
                    self._environment.kill()
                    return
            self._fire(due)
            if not self._keeps_process:
                self._environment.kill()

    def _fire(self, due: datetime) -> None:
        function, event = self._schedule.function, build_event(self._schedule.function, due)
        started, result, outcome = time.perf_counter(), None, ""
        try:
            result = self._environment.invoke(event, timeout_seconds=function.timeout_seconds)
        except InvocationFailed as error:
            outcome = type(error).__name__
            logger().error("schedule failed", function=function.name, outcome=outcome, reason=str(error))
        except Exception as error:  # noqa: BLE001 (the next invocation may succeed)
            outcome = type(error).__name__
            logger().exception("schedule failed", function=function.name)
        seconds = time.perf_counter() - started
        recorded.record(function.name, "schedule", event, result, seconds=seconds, error=outcome)


def run(timers: Sequence[Timer], stopping: threading.Event) -> None:
    """Fire all schedules until `stopping` is set, which the timers know; running functions are finished first."""
    for timer in timers:
        timer.start()
    while True:
        if all(timer.is_alive() for timer in timers):
            _record_heartbeat()
        if stopping.wait(_BEAT_SECONDS):
            break
    for timer in timers:
        timer.join()


def _record_heartbeat() -> None:
    try:
        heartbeats.record("schedules")
    except StoreUnavailable:
        logger().debug("heartbeat not recorded: Valkey is unavailable")


def fire_now(name: str) -> int:
    """Run one schedule's function in this process and print its result.

    Returns 0 if it succeeded, 1 if it raised, 2 if the function has no schedule.
    """
    scheduled = {schedule.function.name: schedule.function for schedule in template_map.schedules()}
    if name not in scheduled:
        print(f"{name} has no schedule. Functions with a schedule: {', '.join(sorted(scheduled))}", file=sys.stderr)
        return 2
    function = scheduled[name]
    started = time.perf_counter()
    try:
        result: Mapping[str, Any] | Any = InProcessEnvironment(function).invoke(
            build_event(function, datetime.now(UTC))
        )
    except Exception:  # noqa: BLE001 (a function may raise anything)
        logger().exception("schedule failed", function=name)
        return 1
    print(f"{name}: {msgspec.json.encode(result, enc_hook=str).decode()} in {time.perf_counter() - started:.2f} s")
    return 0


def main() -> int:
    """Run one function now."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.run_schedules", description=__doc__)
    parser.add_argument("--now", metavar="FUNCTION", required=True, help="run this function now, and exit")
    return fire_now(parser.parse_args().now)


if __name__ == "__main__":
    sys.exit(main())
