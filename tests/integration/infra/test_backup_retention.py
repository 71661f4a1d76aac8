"""What is removed from a backup when it is older than the retention."""

import os
import time
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from infra.backup import base, files, folder
from infra.backup.files import Removed, Stored
from infra.backup.folder import Base, Generation

DAY = timedelta(days=1)
NOW = folder.now()


def _segment(number: int) -> str:
    return f"{1:08X}{0:08X}{number:08X}"


def _add_base(generation: Generation, days: int, number: int) -> Path:
    """A base backup so many days old, which begins with these segments."""
    path, at = generation.bases / f"{99 - days}", NOW - days * DAY
    (path / "postgres").mkdir(parents=True)
    label = f"START WAL LOCATION: 0/2000028 (file {_segment(number)})\n"
    (path / "postgres" / "backup_label").write_text(label)
    made = Base(began_at=at, ended_at=at, first_segment=f"CommitLog-7-{number}.log", schema=[])
    (path / "base.json").write_bytes(msgspec.json.encode(made))
    return path


def _stored(key: str, days: int) -> Stored:
    return Stored(at=NOW - days * DAY, key=key, etag=key, sha256=key, media_type="image/jpeg", metadata={})


@pytest.fixture
def generation(tmp_path: Path) -> Generation:
    """A backup of four weeks."""
    generation = Generation(tmp_path / "20261101T120000Z")
    generation.path.mkdir()
    generation.create_folders()
    for days, number in ((28, 1), (14, 2), (8, 3), (3, 4)):
        _add_base(generation, days, number)
    for number in range(1, 6):
        (generation.wal / _segment(number)).touch()
        (generation.commit_log / f"CommitLog-7-{number}.log").touch()
    entries: list[Stored | Removed] = [_stored("gone", 28), _stored("lately gone", 28), _stored("present", 28)]
    entries += [Removed(at=NOW - 20 * DAY, key="gone"), Removed(at=NOW - 2 * DAY, key="lately gone")]
    generation.journal.write_bytes(b"".join(files.encode(entry) for entry in entries))
    for name in ("gone", "lately gone", "present"):
        (generation.contents / name).touch()
        os.utime(generation.contents / name, (0, time.time() - 28 * DAY.total_seconds()))
    return generation


def test_moments_of_the_last_seven_days_can_still_be_restored(generation: Generation) -> None:
    base.remove_old(generation)

    assert [path.name for path in generation.read_bases()] == ["91", "96"]
    assert sorted(path.name for path in generation.wal.iterdir()) == [_segment(number) for number in (3, 4, 5)]
    assert len(list(generation.commit_log.iterdir())) == 3
    assert {path.name for path in generation.contents.iterdir()} == {"lately gone", "present"}
    assert {each.key for each in files.read_present(generation, NOW - 3 * DAY)} == {"lately gone", "present"}
    assert {each.key for each in files.read_present(generation, NOW)} == {"present"}


def test_an_earlier_generation_is_removed_when_its_last_moment_is_too_old(generation: Generation) -> None:
    for name, days in (("20261001T120000Z", 8), ("20261101T110000Z", 6)):
        earlier = Generation(generation.path.with_name(name))
        earlier.path.mkdir()
        earlier.save_reached(NOW - days * DAY)
    base.remove_old(generation)

    assert {path.name for path in generation.path.parent.glob("*Z")} == {"20261101T110000Z", generation.path.name}
