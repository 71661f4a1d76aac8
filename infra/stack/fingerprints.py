"""Tells one state of files from another."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def of_files(paths: Iterable[Path], *, below: Path, made_by: str = "") -> str:
    """SHA-256 over names and contents of those that are files, in hexadecimal; `made_by` is what else counts."""
    digest = hashlib.sha256(made_by.encode())
    for path in sorted(paths):
        if path.is_file():
            digest.update(f"{path.relative_to(below)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
