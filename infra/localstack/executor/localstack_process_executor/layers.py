"""The layers of a function as one folder: a later one's file covers an earlier one's, as in Lambda's /opt."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path


def merged(layers: Sequence[Path], state: Path) -> Path:
    """The folder, made once for the same layers; no copy takes room, its files are links to theirs."""
    state.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256("\0".join(map(str, layers)).encode()).hexdigest()[:16]
    target = state / name
    if target.exists():
        return target
    made = Path(tempfile.mkdtemp(dir=state))
    for layer in layers:
        _link(layer, made)
    made.chmod(0o755)
    try:
        made.rename(target)
    except OSError:
        if not target.exists():
            raise
        shutil.rmtree(made)  # another thread was faster
    return target


def _link(source: Path, target: Path) -> None:
    for folder, _, files in os.walk(source):
        inside = target / Path(folder).relative_to(source)
        inside.mkdir(exist_ok=True)
        for file in files:
            (inside / file).unlink(missing_ok=True)
            (inside / file).hardlink_to(Path(folder) / file)
