"""Small file systems of their own for the data of stores, so that a disk can be full for one store alone."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from infra.stack import programs
from infra.stack.profiles import profile
from tests.support import services

_MEGABYTES: Final = {"postgres": 3000, "minio": 1500, "cassandra": 1500, "rabbitmq": 1500}
_FILLER: Final = ".filler"


@contextmanager
def own_disks() -> Iterator[dict[str, Path]]:
    """Move the data of stores to file systems in files; where each is mounted. At the end the data are moved back.

    Empty where this process may not mount file systems.
    """
    if not _may_mount():
        yield {}
        return
    stack = profile("test")
    folders = {
        "postgres": programs.postgres_folder(stack),
        **{part: stack.state / part for part in ("minio", "cassandra", "rabbitmq")},
    }
    with ExitStack() as mounted:
        for part, folder in folders.items():
            mounted.enter_context(_own_disk(part, folder))
        yield folders


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Leave no byte of the file system free."""
    filler = folder / _FILLER
    try:
        filler.touch()
        for unit in (1 << 20, 4096):
            free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize // unit * unit
            subprocess.run(
                ["fallocate", "--offset", str(filler.stat().st_size), "--length", str(max(free, unit)), str(filler)],
                check=False,
                stderr=subprocess.DEVNULL,
            )
        yield
    finally:
        filler.unlink(missing_ok=True)


@contextmanager
def _own_disk(part: str, folder: Path) -> Iterator[None]:
    with services.stop(part):
        if folder.is_mount():  # a run was killed
            _move_back(folder)
        try:
            _move_to_disk(folder, megabytes=_MEGABYTES[part])
        except BaseException:
            _undo_move(folder)
            raise
    shutil.rmtree(_aside(folder))
    try:
        yield
    finally:
        with services.stop(part):
            _move_back(folder)


def _move_to_disk(folder: Path, *, megabytes: int) -> None:
    """Mount a new file system in place of the folder, with its files; the folder itself is kept aside."""
    with _image(folder).open("wb") as file:
        file.truncate(megabytes << 20)
    _run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,nodiscard", str(_image(folder)))
    folder.rename(_aside(folder))
    folder.mkdir()
    _run("mount", "-o", "loop", str(_image(folder)), str(folder))
    (folder / "lost+found").rmdir()
    _run("cp", "-a", f"{_aside(folder)}/.", f"{folder}/")


def _undo_move(folder: Path) -> None:
    """Put the folder that was kept aside back, however far the move went."""
    if folder.is_mount():
        _run("umount", str(folder))
    if _aside(folder).exists():
        if folder.exists():
            folder.rmdir()
        _aside(folder).rename(folder)
    _image(folder).unlink(missing_ok=True)


def _move_back(folder: Path) -> None:
    """Replace the mounted file system by a folder with its files. May be repeated after an interruption."""
    (folder / _FILLER).unlink(missing_ok=True)
    if _aside(folder).exists():
        shutil.rmtree(_aside(folder))
    _run("cp", "-a", str(folder), str(_aside(folder)))
    _undo_move(folder)


def _image(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.image")


def _aside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.aside")


def _may_mount() -> bool:
    return (
        os.geteuid() == 0
        and not subprocess.run(
            ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], check=False, capture_output=True
        ).returncode
    )


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
