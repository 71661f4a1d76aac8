"""Handlers that run in another process and write files, from which a test can count their effects."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from layers.entrypoints.queue import on_message
from layers.rabbitmq.messages import read_messages


class Task(msgspec.Struct, frozen=True):
    """The body of a message for these handlers."""

    folder: str
    name: str
    seconds: float = 0
    fails: bool = False


@on_message(Task)
def handler(task: Task) -> None:
    """Wait for the given seconds, then write the process id to a file; or raise."""
    if task.fails:
        raise RuntimeError(f"{task.name} fails")
    Path(task.folder, f"{task.name}.begun").touch()
    time.sleep(task.seconds)
    with Path(task.folder, f"{task.name}.done").open("a") as file:
        file.write(f"{os.getpid()}\n")


def raising(event: Mapping[str, Any], _context: object) -> None:
    """Raise for the whole event until the file `pass` exists."""
    folders = {Path(msgspec.json.decode(message.body)["folder"]) for message in read_messages(event)}
    for folder in folders:
        with (folder / "refused").open("a") as file:
            file.write(f"{len(read_messages(event))}\n")
        if not (folder / "pass").exists():
            raise RuntimeError("not yet")


def keeping(event: Mapping[str, Any], _context: object) -> None:
    """Write the event to a file."""
    folder = Path(msgspec.json.decode(read_messages(event)[0].body)["folder"])
    (folder / f"{time.monotonic_ns()}.event").write_bytes(msgspec.json.encode(event))
