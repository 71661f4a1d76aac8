"""Detects changes in folders of code."""

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

Fingerprint = frozenset[tuple[str, int, int]]
_SETTLE_SECONDS = 0.03
_CACHE = "__pycache__"  # not code; written by programs of the host that import it


def fingerprint(*folders: Path) -> Fingerprint:
    """The files of the folders with their modification times and sizes; changes when a file changes."""
    return frozenset(file for folder in folders for file in _files(str(folder)))


def settled_fingerprint(*folders: Path) -> Fingerprint:
    """The fingerprint after a moment without a change: an editor empties a file before it writes it."""
    before = fingerprint(*folders)
    while before:
        time.sleep(_SETTLE_SECONDS)
        if (now := fingerprint(*folders)) == before:
            break
        before = now
    return before


def digest(fingerprint: Fingerprint) -> str:
    """The fingerprint's SHA-256 in hexadecimal."""
    return hashlib.sha256(repr(sorted(fingerprint)).encode()).hexdigest()


def _files(folder: str) -> Iterator[tuple[str, int, int]]:
    with contextlib.suppress(FileNotFoundError):  # an editor may replace files during the scan
        for entry in os.scandir(folder):
            if not entry.is_dir():
                status = entry.stat(follow_symlinks=False)
                yield entry.path, status.st_mtime_ns, status.st_size
            elif entry.name != _CACHE:
                yield from _files(entry.path)
