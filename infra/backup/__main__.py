"""Backs up a stack, and restores it to a moment.

python -m infra.backup {base,run,restore,check} --profile run|test [--to 2026-11-26T12:00:00Z]
"""

import argparse
import os
import signal
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

import psycopg

from infra.backup import base, check, continuous, files, folder, restore
from infra.backup.folder import BackupFailed, Generation
from infra.stack import env_file, lifecycle, options, supervision
from infra.stack.commands import CommandFailed
from infra.stack.profiles import Profile, profile
from layers.core.errors import StoreUnavailable

_MEGABYTE = 1 << 20
_REACH_SECONDS = 60
_PAUSE_SECONDS = 0.2
_ERRORS = (*lifecycle.ERRORS, BackupFailed, CommandFailed, StoreUnavailable, psycopg.Error)


def main() -> int:
    """Run the command; 0 on success."""
    parser = argparse.ArgumentParser(prog="python -m infra.backup", description=__doc__)
    parser.add_argument("verb", choices=["base", "run", "restore", "check"])
    parser.add_argument("--profile", choices=["run", "test"], default="run")
    parser.add_argument("--to", default="", metavar="MOMENT", help="restore: the moment, or `latest`")
    arguments = parser.parse_args()
    chosen = profile(arguments.profile)
    try:
        match arguments.verb:
            case "base":
                make_base(chosen)
            case "run":
                copy_continuously(chosen)
            case "restore":
                with lifecycle.lock(chosen):
                    restore.restore(chosen, find_folder(chosen), arguments.to)
            case _:
                print(check_rows(chosen).describe())
    except _ERRORS as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


def make_base(profile: Profile) -> None:
    """Make a base backup now, and print what was made. Raises `BackupFailed` if the stack has no backup folder."""
    refuse_stopped(profile)
    generation = find_generation(profile)
    generation.create_folders()
    began = time.monotonic()
    print(f"Making a base backup in {generation.path} …", flush=True)
    path = base.make(profile, env_file.read(profile), generation)
    wait_until_reached(generation, folder.now())
    sizes = {name: base.size_of(path / name) / _MEGABYTE for name in ("postgres", "cassandra")}
    sizes["files (of all backups)"] = base.size_of(generation.contents) / _MEGABYTE
    for name, megabytes in sizes.items():
        print(f"  {name:<24}{megabytes:8.1f} MB")
    print(f"Made {path} in {time.monotonic() - began:.1f} s. Restore with: make stop && make restore")


def wait_until_reached(generation: Generation, moment: datetime) -> None:
    """Wait until all three stores reach a moment; raises `BackupFailed` if they do not within a minute."""
    deadline = time.monotonic() + _REACH_SECONDS
    while (reached := generation.read_reached()) is None or reached < moment:
        if time.monotonic() > deadline:
            raise BackupFailed("Messages and files are not copied; see the log of the program backup")
        time.sleep(_PAUSE_SECONDS)


def copy_continuously(profile: Profile) -> None:
    """Copy until SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    continuous.run(profile, env_file.read(profile), find_generation(profile), ended)


def check_rows(profile: Profile) -> check.Report:
    """Check the rows of a running stack, and change nothing. Raises `BackupFailed` and `StoreUnavailable`."""
    refuse_stopped(profile)
    settings = env_file.read(profile)
    os.environ.update(env_file.for_administration(settings))
    return check.run(files.connect(env_file.for_administration(settings)), settings["S3_BUCKET"], repairs=False)


def find_generation(profile: Profile) -> Generation:
    """The generation into which the stack is backed up; raises `BackupFailed` if there is none."""
    path = env_file.backup_generation(env_file.read(profile))
    if path is None:
        raise BackupFailed(
            f"The stack has no backup. Choose a folder, if possible on another disk, and start it with: "
            f"PHOTOGRAM_BACKUP=/path {profile.start_command}"
        )
    return Generation(path)


def find_folder(profile: Profile) -> Path:
    """The backup folder to restore from; raises `BackupFailed` if it is not known."""
    name = options.value("PHOTOGRAM_BACKUP") or env_file.read(profile).get("PHOTOGRAM_BACKUP")
    if not name or not Path(name).is_dir():
        raise BackupFailed(f"There is no backup folder {name or ''}. Name it with PHOTOGRAM_BACKUP=/path")
    return Path(name).absolute()


def refuse_stopped(profile: Profile) -> None:
    """Raise `BackupFailed` if the stack does not run."""
    if supervision.connect(profile) is None:
        raise BackupFailed(f"The stack does not run. Start it with: {profile.start_command}")


if __name__ == "__main__":
    sys.exit(main())
