"""Merges a function's layers into one folder, for /opt."""

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_KEPT_SECONDS = 7 * 24 * 3600.0


@dataclass(frozen=True)
class Layer:
    """A version of a layer: its identity (the hash of its zip file) and a function that returns its unpacked folder."""

    identity: str
    unpack: Callable[[], Path]


def merge(layers: Sequence[Layer], cache: Path) -> Path | None:
    """The merged folder of these layers, created at first use; None without layers.

    A file of a later layer replaces that of an earlier one. Files are hard links if the file system allows it.
    """
    if not layers:
        return None
    key = hashlib.sha256("\n".join(layer.identity for layer in layers).encode()).hexdigest()
    merged = cache / key
    if not merged.exists():
        _build([layer.unpack() for layer in layers], merged)
    os.utime(merged)  # mark it as used, for `prune`
    return merged


def prune(cache: Path) -> None:
    """Remove merged folders that were not used for a week."""
    for folder in cache.glob("*"):
        if time.time() - folder.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _build(folders: Sequence[Path], merged: Path) -> None:
    merged.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=merged.parent, ignore_cleanup_errors=True) as folder:
        target = Path(folder) / "merged"
        for source in folders:
            shutil.copytree(source, target, symlinks=True, copy_function=_link, dirs_exist_ok=True)
        target.chmod(0o755)
        with contextlib.suppress(OSError):  # another thread has created it
            target.rename(merged)


def _link(source: str, target: str) -> None:
    place = Path(target)
    place.unlink(missing_ok=True)
    try:
        place.hardlink_to(source)
    except OSError:  # it is on another file system
        shutil.copy2(source, target)
