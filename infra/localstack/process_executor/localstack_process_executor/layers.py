"""Merges a function's layers into one folder, for /opt."""

import contextlib
import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_KEPT_SECONDS = 7 * 24 * 3600.0
_HOT = "hot-"
_HOT_SECONDS = 60.0  # an environment that runs an older version may still load modules
_building = threading.Lock()  # many functions with the same layers are deployed at the same time


@dataclass(frozen=True)
class Layer:
    """A version of a layer: its identity (the hash of its content) and a function that returns its unpacked folder."""

    identity: str
    unpack: Callable[[], Path]
    folder: str = ""
    """Of a hot-reloaded layer; its merged folders replace each other."""


def merge(layers: Sequence[Layer], cache: Path) -> Path | None:
    """The merged folder of these layers, created at first use; None without layers.

    A file of a later layer replaces that of an earlier one. Files are hard links if the file system allows it.
    """
    if not layers:
        return None
    merged = cache / _hash(layer.identity for layer in layers)
    if is_hot := any(layer.folder for layer in layers):
        merged = cache / f"{_HOT}{_hash(layer.folder or layer.identity for layer in layers)}-{merged.name}"
    with _building:
        if is_new := not merged.exists():
            _build([layer.unpack() for layer in layers], merged)
    os.utime(merged)  # mark it as used
    if is_new and is_hot:
        _remove_unused(cache.glob(f"{merged.name.rpartition('-')[0]}-*"), _HOT_SECONDS)
    return merged


def prune(cache: Path) -> None:
    """Remove merged folders that were not used for a week, and those of hot-reloaded layers."""
    _remove_unused(cache.glob("*"), _KEPT_SECONDS)
    _remove_unused(cache.glob(f"{_HOT}*"), 0)


def _remove_unused(folders: Iterable[Path], seconds: float) -> None:
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):  # another thread has removed it
            if time.time() - folder.stat().st_mtime > seconds:
                shutil.rmtree(folder, ignore_errors=True)


def _hash(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _build(folders: Sequence[Path], merged: Path) -> None:
    merged.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=merged.parent, ignore_cleanup_errors=True) as folder:
        target = Path(folder) / "merged"
        for source in folders:
            shutil.copytree(source, target, symlinks=True, copy_function=_link, dirs_exist_ok=True)
        target.chmod(0o755)
        with contextlib.suppress(OSError):  # another process has created it
            target.rename(merged)


def _link(source: str, target: str) -> None:
    place = Path(target)
    place.unlink(missing_ok=True)
    try:
        place.hardlink_to(source)
    except OSError:  # it is on another file system
        shutil.copy2(source, target)
