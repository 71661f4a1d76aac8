"""The schedule runner: fires every `Type: Schedule` event of template.yaml with EventBridge's event.

python -m infra.local.run_schedules [--now stories/delete_expired_stories] [--reload]

Rates fire at multiples of themselves on the clock, so that a restart neither skips nor repeats. Each schedule has a
thread and an environment in a process of its own: a slow one delays no other, and never overlaps itself.
"""

import argparse
import functools
import re
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from croniter import croniter

from infra import template_map
from infra.local import reloading
from infra.local.environment import Environment as InProcess
from infra.local.event import ACCOUNT
from infra.local.isolated import Environment, InvocationFailed
from infra.template_map import Function, Schedule
from layers.core.errors import StoreUnavailable
from layers.core.logging import logger
from layers.valkey import heartbeats

type After = Callable[[str, datetime], datetime]
"""When an expression fires next after a moment."""

_BEAT_SECONDS = 15
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_DAY_NUMBER = re.compile(r"(?<![#\d])[1-7](?!\d)")
_KEPT_WARM = timedelta(minutes=5)


def next_after(expression: str, moment: datetime) -> datetime:
    """When a `rate(…)` or `cron(…)` fires next; raises `ValueError` for one it cannot read."""
    if rate := _RATE.fullmatch(expression):
        every = timedelta(**{f"{rate[2]}s": int(rate[1])})
        if not every:
            raise ValueError(f"{expression}: a rate is at least one")
        epoch = datetime.fromtimestamp(0, UTC)
        return epoch + ((moment - epoch) // every + 1) * every
    if cron := _CRON.fullmatch(expression):
        minute, hour, day, month, weekday, year = cron.groups()
        if "?" not in (day, weekday) or "W" in day or "L" in weekday:
            raise ValueError(f"{expression}: one of the days must be ?; W, and L among weekdays, are not understood")
        # AWS counts Sunday as 1, cron as 0; AWS writes the year last, croniter after the seconds.
        weekday = _DAY_NUMBER.sub(lambda number: str(int(number[0]) - 1), weekday).replace("?", "*")
        fields = f"{minute} {hour} {day.replace('?', '*')} {month} {weekday} 0 {year}"
        following: datetime = croniter(fields, moment).get_next(datetime)
        return following
    raise ValueError(f"{expression}: neither rate(…) nor cron(…)")


def event_of(function: Function, moment: datetime) -> dict[str, Any]:
    """EventBridge's event."""
    rule = f"arn:aws:events:eu-central-1:{ACCOUNT}:rule/{function.logical_id}Due"
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "eu-central-1",
        "resources": [rule],
        "detail": {},
    }


class Clock(threading.Thread):
    """Fires one schedule until told to stop; survives its function."""

    def __init__(self, schedule: Schedule, stopping: threading.Event, *, after: After = next_after) -> None:
        super().__init__(name=schedule.function.name)
        self._schedule = schedule
        self._stopping = stopping
        self._after = after
        self._environment = Environment(schedule.function.handler)

    def run(self) -> None:
        """Wait, fire, and again; what falls due while the function still runs is left out."""
        while True:
            due = self._after(self._schedule.expression, datetime.now(UTC))
            while (left := (due - datetime.now(UTC)).total_seconds()) > 0:
                if self._stopping.wait(left):
                    self._environment.kill()
                    return
            self._fire(due)
            if self._after(self._schedule.expression, due) - due > _KEPT_WARM:
                self._environment.kill()

    def _fire(self, due: datetime) -> None:
        function = self._schedule.function
        try:
            self._environment.invoke(event_of(function, due), timeout_seconds=function.timeout_seconds)
        except InvocationFailed as error:
            logger().error("schedule failed", function=function.name, outcome=type(error).__name__, reason=str(error))
        except Exception:  # noqa: BLE001 (the next time may go well)
            logger().exception("schedule failed", function=function.name)


def run(schedules: Sequence[Schedule], stopping: threading.Event) -> None:
    """Fire all schedules until told to stop; what runs is finished first."""
    clocks = [Clock(schedule, stopping) for schedule in schedules]
    for clock in clocks:
        clock.start()
    while True:
        if all(clock.is_alive() for clock in clocks):
            _beat()
        if stopping.wait(_BEAT_SECONDS):
            break
    for clock in clocks:
        clock.join()


def _beat() -> None:
    try:
        heartbeats.beat("schedules")
    except StoreUnavailable:
        logger().debug("no heartbeat: Valkey is away")


def fire_now(name: str) -> int:
    """Run one schedule's function in this process; 0 if it did not fail."""
    due = {schedule.function.name: schedule.function for schedule in template_map.schedules()}
    if name not in due:
        print(f"{name} has no schedule. Those with one: {', '.join(sorted(due))}", file=sys.stderr)
        return 2
    started = time.perf_counter()
    try:
        result: Mapping[str, Any] | Any = InProcess(due[name]).invoke(event_of(due[name], datetime.now(UTC)))
    except Exception:  # noqa: BLE001
        logger().exception("schedule failed", function=name)
        return 1
    print(f"{name}: {msgspec.json.encode(result, enc_hook=str).decode()} in {time.perf_counter() - started:.2f} s")
    return 0


def main() -> int:
    """Run until SIGTERM, or one by hand."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.run_schedules", description=__doc__)
    parser.add_argument("--now", metavar="FUNCTION", help="run this one now, and exit")
    parser.add_argument("--reload", action="store_true", help="start anew when a file of the functions changes")
    given = parser.parse_args()
    if given.now:
        return fire_now(given.now)
    work = functools.partial(run, template_map.schedules())
    reloading.run("infra.local.run_schedules", work, is_reloading=given.reload)
    return 0


if __name__ == "__main__":
    sys.exit(main())
