"""PostgreSQL: base backups by pg_basebackup, and how far the WAL that pg_receivewal streams reaches."""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psycopg

from infra.backup.folder import BackupFailed
from infra.stack import commands
from infra.stack.env_file import ADMIN, for_administration
from infra.stack.profiles import Profile
from infra.stack.programs import REPLICATION_SLOT, postgres_program, postgres_variables

_STREAM_SECONDS = 20
_PAUSE_SECONDS = 0.05
_COMMIT: Final = re.compile(r"desc: COMMIT (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC")
_START: Final = re.compile(r"START WAL LOCATION: \S+ \(file (\w{24})\)")

COMMIT: Final = "SELECT pg_logical_emit_message(true, 'backup', '')"
READ_END: Final = "SELECT pg_current_wal_lsn()"
READ_STREAM: Final = """
    SELECT slot.wal_status, coalesce(stream.flush_lsn >= %(end)s::pg_lsn, false)
      FROM pg_replication_slots slot LEFT JOIN pg_stat_replication stream ON stream.pid = slot.active_pid
     WHERE slot.slot_name = %(name)s
"""


def make_base(profile: Profile, settings: Mapping[str, str], target: Path) -> None:
    """Make a base backup; raises `CommandFailed`."""
    commands.run(
        [
            *(str(postgres_program("pg_basebackup")), "--pgdata", str(target), "--checkpoint", "fast"),
            *("--wal-method", "none", "--no-password"),
            *("--host", "127.0.0.1", "--port", str(profile.ports.postgres), "--username", ADMIN),
        ],
        **postgres_variables(settings),
    )


def verify_base(folder: Path) -> None:
    """Compare the files of a base backup with their checksums; raises `CommandFailed`."""
    commands.run([str(postgres_program("pg_verifybackup")), "--no-parse-wal", str(folder)])


def wait_for_stream(settings: Mapping[str, str]) -> None:
    """Commit a transaction, and wait until the backup has its WAL.

    A moment can be restored if a later commit is in the WAL. Raises `BackupFailed` if it is not streamed within 20 s.
    """
    deadline = time.monotonic() + _STREAM_SECONDS
    with psycopg.connect(
        for_administration(settings)["DATABASE_URL"], autocommit=True, connect_timeout=_STREAM_SECONDS
    ) as db:
        db.execute(COMMIT)
        [end] = db.execute(READ_END).fetchone() or [None]
        while True:
            status, is_streamed = db.execute(READ_STREAM, {"end": end, "name": REPLICATION_SLOT}).fetchone() or ("", 0)
            if is_streamed:
                return
            if status in {"", "lost"}:
                raise BackupFailed(
                    "PostgreSQL has removed WAL that the backup does not have. Begin a new backup: "
                    "start once with PHOTOGRAM_BACKUP=no, then again with the folder."
                )
            if time.monotonic() > deadline:
                raise BackupFailed("The WAL is not streamed into the backup; see the log of the program wal")
            time.sleep(_PAUSE_SECONDS)


def first_segment(base: Path) -> str:
    """The name of the first segment of the WAL that a base backup needs."""
    found = _START.search((base / "backup_label").read_text())
    if found is None:
        raise BackupFailed(f"{base}/backup_label names no WAL")
    return found[1]


def segments(wal: Path) -> dict[str, Path]:
    """The files of the WAL by name, in order; the last segment, which is not full, has the name of a full one."""
    files = [path for path in wal.iterdir() if re.fullmatch(r"\w{24}(\.partial)?|\w{8}\.history", path.name)]
    found: dict[str, Path] = {}
    for path in sorted(files, reverse=True):  # a full segment replaces its partial copy
        found[path.name.removesuffix(".partial")] = path
    return dict(sorted(found.items()))


def find_last_commit(wal: Path) -> datetime | None:
    """The time of the last commit in the WAL; None if it has none."""
    names = [name for name in segments(wal) if not name.endswith(".history")]
    with tempfile.TemporaryDirectory() as folder:
        for name, path in segments(wal).items():
            Path(folder, name).symlink_to(path)
        for name in reversed(names):
            dump = subprocess.run(
                [str(postgres_program("pg_waldump")), "--rmgr", "Transaction", "--path", folder, name],
                env={**os.environ, "TZ": "UTC"},
                capture_output=True,
                text=True,
                check=False,  # it fails at the end of the WAL
            )
            if commits := _COMMIT.findall(dump.stdout):
                return max(datetime.fromisoformat(each).replace(tzinfo=UTC) for each in commits)
    return None
