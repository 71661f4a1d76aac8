"""Whether folders of code have changed."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

Fingerprint = frozenset[tuple[str, int, int]]
_CACHE = "__pycache__"  # written by whoever imports the code on the host: no change of the code


def fingerprint(*folders: Path) -> Fingerprint:
    """The folders' files with their times and sizes; equal as long as nothing was changed."""
    return frozenset(file for folder in folders for file in _files(str(folder)))


def digest(fingerprint: Fingerprint) -> str:
    """The fingerprint in short."""
    return hashlib.sha256(repr(sorted(fingerprint)).encode()).hexdigest()


def _files(folder: str) -> Iterator[tuple[str, int, int]]:
    with contextlib.suppress(FileNotFoundError):  # an editor replaces files while this looks at them
        for entry in os.scandir(folder):
            if not entry.is_dir():
                status = entry.stat(follow_symlinks=False)
                yield entry.path, status.st_mtime_ns, status.st_size
            elif entry.name != _CACHE:
                yield from _files(entry.path)
