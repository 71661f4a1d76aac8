"""The schedule runner: each schedule is independent of the others, even if its function fails."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from infra.local.run_schedules import Timer
from infra.template_map import Function, Schedule
from tests.support.stack import ROOT
from tests.support.waiting import until


def _soon(_expression: str, moment: datetime) -> datetime:
    return moment + timedelta(seconds=0.2)


def _timer(name: str, stopping: threading.Event, *, timeout_seconds: int = 5) -> Timer:
    function = Function(
        logical_id=name.title(),
        name=f"tests/{name}",
        handler=f"tests.integration.hosts.due.{name}",
        layers=("core",),
        timeout_seconds=timeout_seconds,
        memory_mb=512,
        is_heavy=False,
        events={},
    )
    return Timer(Schedule(expression="rate(1 minute)", function=function), stopping, next_time=_soon)


@contextlib.contextmanager
def _ticking(*names: str, timeout_seconds: int = 5) -> Iterator[None]:
    stopping = threading.Event()
    timers = [_timer(name, stopping, timeout_seconds=timeout_seconds) for name in names]
    for timer in timers:
        timer.start()
    try:
        yield
    finally:
        stopping.set()
        for timer in timers:
            timer.join(15)
        assert not any(timer.is_alive() for timer in timers)


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file to which the functions write."""
    file = tmp_path / "due"
    file.touch()
    monkeypatch.setenv("DUE_FILE", str(file))
    return file


def _times(lines: Path, line: str) -> int:
    return lines.read_text().splitlines().count(line)


def test_a_function_is_fired_again_and_again_with_the_event(lines: Path) -> None:
    with _ticking("quick"):
        until(lambda: _times(lines, "quick Scheduled Event") >= 3)


@pytest.mark.parametrize("bad", ["failing", "crashing"])
def test_a_function_that_fails_is_fired_again_and_does_not_affect_others(lines: Path, bad: str) -> None:
    with _ticking(bad, "quick"):
        until(lambda: _times(lines, bad) >= 2 and _times(lines, "quick Scheduled Event") >= 2)


def test_a_slow_function_delays_no_other_and_never_overlaps_itself(lines: Path) -> None:
    with _ticking("slow", "quick"):
        until(lambda: _times(lines, "slow ends") >= 2)
        quick = _times(lines, "quick Scheduled Event")
    slow = [line for line in lines.read_text().splitlines() if line.startswith("slow")]

    assert quick > 3
    assert slow == ["slow begins", "slow ends"] * (len(slow) // 2)


def test_a_function_that_exceeds_its_timeout_is_killed_and_fired_again(lines: Path) -> None:
    with _ticking("stuck", timeout_seconds=1):
        until(lambda: _times(lines, "stuck") >= 2)


def test_now_runs_one_function() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infra.local.run_schedules", "--now", "stories/delete_expired_stories"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert "stories/delete_expired_stories: " in done.stdout.splitlines()[-1]


def test_now_refuses_a_function_without_a_schedule() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infra.local.run_schedules", "--now", "posts/like_post"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert "posts/sweep_posts" in done.stderr
