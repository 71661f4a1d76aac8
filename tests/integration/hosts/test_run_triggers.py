"""The queue consumer and the schedule runner in one process."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from infra.migrate import migrate_cassandra
from layers.core.events import ProfileUpdated
from layers.core.ids import new_id
from layers.core.models import Time
from layers.valkey import heartbeats
from tests.support.queues import publish
from tests.support.stack import ROOT
from tests.support.stores import read_profile, seconds_to_end, valkey
from tests.support.waiting import until


@pytest.fixture
def triggers(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The running process; none has recorded a heartbeat before."""
    migrate_cassandra()
    valkey().delete(*(f"heartbeat:{host}" for host in heartbeats.HOSTS))
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "infra.local.run_triggers"], cwd=ROOT, stdout=log, stderr=log)
    yield process
    process.kill()
    process.wait()


def test_messages_are_processed(triggers: subprocess.Popen[bytes]) -> None:
    event = ProfileUpdated(
        user_id=new_id(),
        username="ada",
        display_name="Ada",
        profile_picture_url=None,
        updated_at=Time("2026-11-23T10:00:00.000Z"),
    )
    publish(ProfileUpdated.queue, event)

    assert triggers.poll() is None
    until(lambda: read_profile(event.user_id), seconds=20)


@pytest.mark.parametrize("host", heartbeats.HOSTS)
def test_heartbeats_are_recorded(triggers: subprocess.Popen[bytes], host: str) -> None:
    beat = until(lambda: heartbeats.read_last()[host], seconds=20)

    assert triggers.poll() is None
    assert abs((datetime.now(UTC) - beat).total_seconds()) < 30
    assert 0 < seconds_to_end(f"heartbeat:{host}") <= 300


def test_sigterm_ends_it_and_its_environments(triggers: subprocess.Popen[bytes]) -> None:
    until(lambda: heartbeats.read_last()["queues"], seconds=20)
    environments = psutil.Process(triggers.pid).children()
    started = time.monotonic()
    triggers.send_signal(signal.SIGTERM)

    assert triggers.wait(20) == 0
    assert time.monotonic() - started < 10
    assert environments
    assert not any(each.is_running() for each in environments)
