"""Hashes of files, to detect changes."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def of_files(paths: Iterable[Path], *, below: Path, salt: str = "") -> str:
    """SHA-256 in hexadecimal of the names (relative to `below`) and contents of those paths that are files.

    `salt` is included in the hash.
    """
    digest = hashlib.sha256(salt.encode())
    for path in sorted(paths):
        if path.is_file():
            digest.update(f"{path.relative_to(below)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def of_text(text: str) -> str:
    """The first 16 hexadecimal digits of a text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
