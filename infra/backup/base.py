"""Makes base backups, and removes what is older than the retention."""

import contextlib
import fcntl
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from infra.backup import cassandra, files, folder, postgres
from infra.backup.folder import Base, Generation
from infra.stack.profiles import Profile
from infra.stack.programs import postgres_program

RETENTION = timedelta(days=7)
"""Moments of this time can be restored."""


def make(profile: Profile, settings: Mapping[str, str], generation: Generation) -> Path:
    """Make a base backup of the running stack; its folder.

    Waits while another process makes one. Raises `CommandFailed` and `BackupFailed`.
    """
    with _lock(generation):
        began_at, data = folder.now(), profile.state / "cassandra"
        target = generation.bases / f"{began_at:%Y%m%dT%H%M%SZ}"
        for unfinished in (path for path in generation.bases.iterdir() if not (path / "base.json").exists()):
            shutil.rmtree(unfinished)
        target.mkdir(mode=0o700)
        schema = cassandra.read_schema(data / "data")
        first_segment = cassandra.segment_names(data / "commitlog")[0]
        cassandra.copy_tables(data / "data", data / "linked", target / "cassandra")
        postgres.make_base(profile, settings, target / "postgres")
        shutil.copy2(profile.env_file, target / "env")
        postgres.wait_for_stream(settings)
        base = Base(began_at=began_at, ended_at=folder.now(), first_segment=first_segment, schema=schema)
        folder.write(target / "base.json", msgspec.json.encode(base))
        return target


def remove_old(generation: Generation) -> None:
    """Remove what only moments before the retention need, but never the newest base backup."""
    with _lock(generation):
        oldest_moment = folder.now() - RETENTION
        _remove_old_generations(generation, oldest_moment)
        bases = generation.read_bases()
        old = [path for path, base in bases.items() if base.ended_at <= oldest_moment][:-1]
        if not old:
            return
        for path in old:
            (path / "base.json").unlink()  # first, so that no restore takes a part of it
            shutil.rmtree(path)
        [(path, oldest), *_] = generation.read_bases().items()
        first = postgres.first_segment(path / "postgres")
        subprocess.run([str(postgres_program("pg_archivecleanup")), str(generation.wal), first], check=True)
        for commit_log in (generation.commit_log, generation.live_commit_log):
            for name in cassandra.segment_names(commit_log):
                if name < oldest.first_segment:
                    (commit_log / name).unlink()
        files.forget_before(generation, oldest.ended_at)
        _remove_unused_contents(generation)


def _remove_old_generations(current: Generation, oldest_moment: datetime) -> None:
    for path in current.path.parent.glob("*Z"):
        last = Generation(path).read_reached() or datetime.fromtimestamp(path.stat().st_mtime, UTC)
        if path != current.path and last < oldest_moment:
            shutil.rmtree(path)


def size_of(path: Path) -> int:
    """The bytes of all files in a folder."""
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())


def _remove_unused_contents(generation: Generation) -> None:
    journals = generation.path.parent.glob("*/files.jsonl")
    used = {digest for journal in journals for digest in files.used_contents(journal)}
    old = time.time() - timedelta(days=1).total_seconds()  # younger ones may not be in the journal yet
    for path in generation.contents.iterdir():
        if path.name not in used and path.stat().st_mtime < old:
            path.unlink()


@contextlib.contextmanager
def _lock(generation: Generation) -> Iterator[None]:
    with (generation.path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
