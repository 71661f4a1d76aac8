"""Handlers whose effects a test can count, though they run in another process: one file per message."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from layers.core.queue import messages_of, on_message


class Task(msgspec.Struct, frozen=True):
    """What to do, and how it goes wrong."""

    folder: str
    name: str
    seconds: float = 0
    fails: bool = False


@on_message(Task)
def handler(task: Task) -> None:
    """Leave a file with the process's id, once it has taken so long."""
    if task.fails:
        raise RuntimeError(f"{task.name} fails")
    Path(task.folder, f"{task.name}.begun").touch()
    time.sleep(task.seconds)
    with Path(task.folder, f"{task.name}.done").open("a") as file:
        file.write(f"{os.getpid()}\n")


def raising(event: Mapping[str, Any], _context: object) -> None:
    """Refuse a whole event until the file `pass` is there."""
    folders = {Path(msgspec.json.decode(message.body)["folder"]) for message in messages_of(event)}
    for folder in folders:
        with (folder / "refused").open("a") as file:
            file.write(f"{len(messages_of(event))}\n")
        if not (folder / "pass").exists():
            raise RuntimeError("not yet")


def keeping(event: Mapping[str, Any], _context: object) -> None:
    """Write the event down as it came."""
    folder = Path(msgspec.json.decode(messages_of(event)[0].body)["folder"])
    (folder / f"{time.monotonic_ns()}.event").write_bytes(msgspec.json.encode(event))
