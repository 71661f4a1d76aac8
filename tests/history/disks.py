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

_MEGABYTES: Final = {"postgres": 3000, "minio": 1500, "cassandra": 1500, "rabbitmq": 1000}
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
    image, aside = folder.with_name(f"{folder.name}.image"), folder.with_name(f"{folder.name}.aside")
    with services.stop(part):
        _unmount(folder)
        with image.open("wb") as file:
            file.truncate(_MEGABYTES[part] << 20)
        _run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,nodiscard", str(image))
        folder.rename(aside)
        folder.mkdir()
        _run("mount", "-o", "loop", str(image), str(folder))
        (folder / "lost+found").rmdir()
        _copy(aside, folder)
    shutil.rmtree(aside)
    try:
        yield
    finally:
        with services.stop(part):
            _copy(folder, aside)
            _unmount(folder)
            folder.rmdir()
            aside.rename(folder)
            image.unlink()


def _copy(source: Path, target: Path) -> None:
    """The files with owners, rights and times."""
    _run("cp", "-a", f"{source}/.", f"{target}/") if target.is_dir() else _run("cp", "-a", str(source), str(target))


def _unmount(folder: Path) -> None:
    if folder.is_mount():
        _run("umount", str(folder))


def _may_mount() -> bool:
    return (
        os.geteuid() == 0
        and not subprocess.run(
            ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], check=False, capture_output=True
        ).returncode
    )


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
