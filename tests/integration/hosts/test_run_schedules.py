"""The schedule runner: every schedule on its own, whatever its function does."""

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.local.run_schedules import Clock
from infra.template_map import Function, Schedule
from layers.valkey import heartbeats
from tests.support.stack import ROOT
from tests.support.stores import valkey
from tests.support.waiting import until


def _soon(_expression: str, moment: datetime) -> datetime:
    return moment + timedelta(seconds=0.2)


def _clock(name: str, stopping: threading.Event, *, timeout_seconds: int = 5) -> Clock:
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
    return Clock(Schedule(expression="rate(1 minute)", function=function), stopping, after=_soon)


@contextlib.contextmanager
def _ticking(*names: str, timeout_seconds: int = 5) -> Iterator[None]:
    stopping = threading.Event()
    clocks = [_clock(name, stopping, timeout_seconds=timeout_seconds) for name in names]
    for clock in clocks:
        clock.start()
    try:
        yield
    finally:
        stopping.set()
        for clock in clocks:
            clock.join(15)
        assert not any(clock.is_alive() for clock in clocks)


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the functions write."""
    file = tmp_path / "due"
    file.touch()
    monkeypatch.setenv("DUE_FILE", str(file))
    return file


def _times(said: Path, line: str) -> int:
    return said.read_text().splitlines().count(line)


def test_a_function_is_fired_again_and_again_with_the_event(said: Path) -> None:
    with _ticking("quick"):
        until(lambda: _times(said, "quick Scheduled Event") >= 3)


@pytest.mark.parametrize("bad", ["failing", "crashing"])
def test_a_function_that_fails_is_fired_again_and_no_other_suffers(said: Path, bad: str) -> None:
    with _ticking(bad, "quick"):
        until(lambda: _times(said, bad) >= 2 and _times(said, "quick Scheduled Event") >= 2)


def test_a_slow_function_delays_no_other_and_never_overlaps_itself(said: Path) -> None:
    with _ticking("slow", "quick"):
        until(lambda: _times(said, "slow ends") >= 2)
        quick = _times(said, "quick Scheduled Event")
    slow = [line for line in said.read_text().splitlines() if line.startswith("slow")]

    assert quick > 3
    assert slow == ["slow begins", "slow ends"] * (len(slow) // 2)


def test_a_function_that_overruns_its_timeout_is_killed_and_fired_again(said: Path) -> None:
    with _ticking("stuck", timeout_seconds=1):
        until(lambda: _times(said, "stuck") >= 2)


def test_the_runner_says_that_it_lives_and_ends_when_asked() -> None:
    valkey().delete("heartbeat:schedules")
    runner = subprocess.Popen([sys.executable, "-m", "infra.local.run_schedules"], cwd=ROOT)
    try:
        beat = until(lambda: heartbeats.last()["schedules"], seconds=20)
        assert abs((datetime.now(UTC) - beat).total_seconds()) < 30
        assert 0 < valkey().ttl("heartbeat:schedules") <= 300
        started = time.monotonic()
        runner.send_signal(signal.SIGTERM)
        assert runner.wait(15) == 0
        assert time.monotonic() - started < 10
    finally:
        runner.kill()


def test_a_schedule_is_run_by_hand() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "infra.local.run_schedules", "--now", "stories/delete_expired_stories"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert told.returncode == 0, told.stderr
    assert "stories/delete_expired_stories: " in told.stdout.splitlines()[-1]


def test_a_function_without_a_schedule_is_refused_by_name() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "infra.local.run_schedules", "--now", "posts/like_post"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert told.returncode == 2
    assert "posts/sweep_posts" in told.stderr
