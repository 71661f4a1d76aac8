"""The layout of a backup folder, and which base backup a moment is restored from.

files/                  the contents of objects, named by their SHA-256
<generation>/           the unbroken history of one set of data, with:
- bases/<time>/         base backups: base.json, postgres/, cassandra/, env
- wal/                  streamed by pg_receivewal
- commitlog/            full segments, copied by Cassandra
- commitlog-live/       the newest copy of each segment that is not full
- files.jsonl           which objects were stored and removed, and when
- reached.json          the newest moment that all three stores reach
"""

import os
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

import msgspec


class BackupFailed(Exception):
    """A backup or a restore is not possible; the message says why and what to do."""


class Reached(msgspec.Struct, frozen=True):
    """What was written until `moment` is in the backup, in all three stores."""

    moment: datetime


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """A complete base backup, from which moments after its end can be restored."""

    began_at: datetime
    ended_at: datetime
    first_segment: str
    """The oldest segment of Cassandra's commit log that belongs to it."""
    schema: list[str]
    """The files of Cassandra's schema, which change with it."""


class Generation:
    """The folders of one generation."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bases, self.wal = path / "bases", path / "wal"
        self.commit_log, self.live_commit_log = path / "commitlog", path / "commitlog-live"
        self.journal, self.contents = path / "files.jsonl", path.parent / "files"

    def create_folders(self) -> None:
        """Create the folders that do not exist."""
        for folder in (self.bases, self.wal, self.commit_log, self.live_commit_log, self.contents):
            folder.mkdir(mode=0o700, exist_ok=True)

    def read_bases(self) -> dict[Path, Base]:
        """The complete base backups by folder, oldest first."""
        found = sorted(self.bases.glob("*/base.json"))
        return {path.parent: msgspec.json.decode(path.read_bytes(), type=Base) for path in found}

    def read_reached(self) -> datetime | None:
        """The newest moment that all three stores reach; None before the first round of copies."""
        path = self.path / "reached.json"
        return msgspec.json.decode(path.read_bytes(), type=Reached).moment if path.is_file() else None

    def save_reached(self, moment: datetime) -> None:
        """Record the newest moment that all three stores reach."""
        write(self.path / "reached.json", msgspec.json.encode(Reached(moment)))


def read_generations(folder: Path) -> list[Generation]:
    """The generations with a complete base backup, oldest first."""
    return [Generation(path) for path in sorted({path.parents[2] for path in folder.glob("*/bases/*/base.json")})]


def write(path: Path, data: bytes) -> None:
    """Replace a file, whole or not at all, also in a power failure."""
    part = _part(path)
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)


def copy(source: Path, target: Path) -> None:
    """Copy a file with its times, whole or not at all; raises `FileNotFoundError` if the source is gone."""
    part = _part(target)
    shutil.copy2(source, part)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.rename(target)


def _part(path: Path) -> Path:
    """Where a file is written first: two threads may write the same content at the same time."""
    return path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


def parse_moment(text: str) -> datetime:
    """The moment in a text such as 2026-11-26T12:00:00Z; without a zone it is UTC. Raises `BackupFailed`."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BackupFailed(f"{text!r} is not a moment such as 2026-11-26T12:00:00Z") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


def describe(moment: datetime) -> str:
    """A moment for messages, in a form that `parse_moment` takes."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}Z"
