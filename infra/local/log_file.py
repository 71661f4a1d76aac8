"""A host's log, written to a file by the host itself: through a pipe, each line would wake supervisord."""

import os
import sys
import threading
import time
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 10 * 1024 * 1024
_CHECK_SECONDS: Final = 5


def open_log(path: Path) -> None:
    """Send standard output and standard error to the end of this file, from now on.

    Each line is in the file when the call that writes it returns, so a crash loses none. The file is checked every 5 s:
    over 10 MiB it is renamed to `<name>.1`, in place of the one before, and a new one is begun.
    """
    _redirect(path)
    threading.Thread(target=_rotate, args=[path], daemon=True).start()


def _redirect(path: Path) -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    opened = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for number in (1, 2):
        os.dup2(opened, number)
    os.close(opened)


def _rotate(path: Path) -> None:
    while True:
        time.sleep(_CHECK_SECONDS)
        rotate_full(path)


def rotate_full(path: Path, *, max_bytes: int = MAX_BYTES) -> bool:
    """Begin a new file if this one has reached `max_bytes`; whether it had. No line is lost or cut."""
    try:
        if path.stat().st_size < max_bytes:
            return False
        path.rename(path.with_name(f"{path.name}.1"))
    except FileNotFoundError:
        pass  # someone removed it: the open file has no name any more
    _redirect(path)
    return True
