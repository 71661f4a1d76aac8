"""Copies messages and files into the backup all the time, and makes a base backup when one is due."""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from botocore.exceptions import BotoCoreError, ClientError

from infra.backup import base, cassandra, files, folder, postgres
from infra.backup.files import Journal
from infra.backup.folder import BackupFailed, Generation
from infra.stack import env_file
from infra.stack.commands import CommandFailed
from infra.stack.profiles import Profile

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

ROUND_SECONDS = 4
"""The time from the beginning of a round of copies to the next; what was written since may be lost."""
_MAX_PAUSE_SECONDS = 50
_PAUSES = 4
"""A pause is this many times as long as the round before it: listing a large bucket takes much CPU time."""
BASE_AGE = timedelta(days=1)
"""The age at which a base backup is followed by another: what is newer is replayed in a restore."""
_SLOW_SECONDS = 60


def run(profile: Profile, settings: Mapping[str, str], generation: Generation, ended: threading.Event) -> None:
    """Copy until `ended` is set. A round that fails is printed, and the next one continues."""
    generation.create_folders()
    store, journal = files.connect(env_file.for_administration(settings)), Journal(generation)
    making: Future[Path] | None = None
    with ThreadPoolExecutor(1) as threads:
        while not ended.is_set():
            began = time.monotonic()
            try:
                if making is not None and making.done():
                    done, making = making, None
                    print(f"Made the base backup {done.result()}")
                    base.remove_old(generation)
                if making is None and _is_due(generation, profile.state / "cassandra" / "data"):
                    making = threads.submit(base.make, profile, settings, generation)
                _copy(profile, settings, generation, store, journal)
            except (BackupFailed, CommandFailed, BotoCoreError, ClientError, psycopg.Error, OSError) as error:
                print(f"Copying failed: {type(error).__name__}: {error}".strip())
            seconds = time.monotonic() - began
            if seconds > _SLOW_SECONDS:
                print(f"Copying took {seconds:.0f} s, so more than that may be lost")
            ended.wait(min(max(ROUND_SECONDS - seconds, _PAUSES * seconds), _MAX_PAUSE_SECONDS))


def _copy(
    profile: Profile, settings: Mapping[str, str], generation: Generation, store: "S3Client", journal: Journal
) -> None:
    """Copy what was written until now, and record this moment."""
    moment = folder.now()
    cassandra.copy_segments(profile.state / "cassandra" / "commitlog", generation)
    journal.copy(store, settings["S3_BUCKET"])
    postgres.wait_for_stream(settings)
    generation.save_reached(moment)


def _is_due(generation: Generation, data: Path) -> bool:
    """Whether there is no base backup, or an old one, or one with another schema.

    Cassandra cannot replay messages of a table that the schema of the base backup lacks.
    """
    bases = list(generation.read_bases().values())
    return not bases or bases[-1].schema != cassandra.read_schema(data) or folder.now() - bases[-1].began_at > BASE_AGE
