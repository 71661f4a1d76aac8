"""Cassandra: copies of its tables and of its commit log.

Files of tables never change once they are complete, so a base backup is a copy of them, as a snapshot is. What is not
in them is in the commit log: Cassandra archives its full segments, and unfinished ones are copied here. A restored node
reads both as after a crash. This needs no JMX, which any user of the machine could connect to.
"""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from infra.backup import folder
from infra.backup.folder import BackupFailed, Generation

_TRIES = 600
_PAUSE_SECONDS = 0.1
_ADDED: Final = re.compile(r"^ADD:\[([^,\]]+)", re.MULTILINE)
_FINISHED: Final = re.compile(r"^(COMMIT|ABORT):", re.MULTILINE)
_COPIES = ("snapshots", "backups")


def read_schema(data: Path) -> list[str]:
    """The names of the files that hold the schema."""
    return sorted(path.name for path in (data / "system_schema").glob("*/*-Data.db"))


def segment_names(commit_log: Path) -> list[str]:
    """The segments of a commit log, oldest first."""
    return sorted(path.name for path in commit_log.glob("CommitLog-*.log"))


def copy_segments(commit_log: Path, generation: Generation) -> None:
    """Copy the segments that have changed since the last copy.

    A copy ends after some complete write, as it does after a crash: Cassandra marks a part of a segment as valid after
    it has written it. Full segments are archived by Cassandra, and their copies made here are removed.
    """
    present = segment_names(commit_log)
    for name in present:
        source, target = commit_log / name, generation.live_commit_log / name
        try:
            is_known = target.exists() and target.stat().st_mtime_ns == source.stat().st_mtime_ns
            if not is_known and not (generation.commit_log / name).exists():
                folder.copy(source, target)
        except FileNotFoundError:  # it was archived and removed meanwhile
            continue
    for name in segment_names(generation.live_commit_log):
        if (generation.commit_log / name).exists():
            (generation.live_commit_log / name).unlink()


def copy_tables(data: Path, staging: Path, target: Path) -> None:
    """Copy the files of all tables as they are at one moment for each table, by way of hard links in `staging`.

    `staging` must be on the disk of the data. Raises `BackupFailed` if a table never holds still.
    """
    shutil.rmtree(staging, ignore_errors=True)
    try:
        for table in _table_folders(data):
            _link_table(table, staging / table.relative_to(data))
        shutil.copytree(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _table_folders(data: Path) -> Iterator[Path]:
    for path, folders, _ in data.walk():
        folders[:] = [name for name in folders if name not in _COPIES]
        if len(path.relative_to(data).parts) > 1:
            yield path


def _link_table(table: Path, target: Path) -> None:
    """Link the complete files of a table.

    A flush or compaction lists its new files in a log, which it removes after it has removed the old ones. New files
    are left out: what they hold is in the old ones, or in segments of the commit log that the base backup keeps.
    """
    for _ in range(_TRIES):
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        try:
            before = _read_files(table)
            added = [Path(name).name for log in before.values() for name in _ADDED.findall(log)]
            for name in before:
                if "_txn_" not in name and not name.startswith(tuple(added)):
                    (target / name).hardlink_to(table / name)
            is_finishing = any(_FINISHED.search(log) for log in before.values())
            if not is_finishing and _read_files(table) == before:
                return
        except FileNotFoundError:
            pass
        time.sleep(_PAUSE_SECONDS)
    raise BackupFailed(f"The files of {table} change all the time; try again later")


def _read_files(table: Path) -> dict[str, str]:
    """The names of a table's files, with the content of each log of a flush or compaction."""
    names = sorted(path.name for path in table.iterdir() if path.is_file())
    return {name: (table / name).read_text() if "_txn_" in name else "" for name in names}
