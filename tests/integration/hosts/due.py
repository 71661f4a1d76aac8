"""Scheduled functions for tests of the runner; each writes lines to DUE_FILE."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def _write_line(line: str) -> None:
    with Path(os.environ["DUE_FILE"]).open("a") as file:
        file.write(f"{line}\n")


def quick(event: Mapping[str, Any], context: object) -> None:
    """Ends at once."""
    _write_line(f"quick {event['detail-type']}")


def slow(event: Mapping[str, Any], context: object) -> None:
    """Runs longer than the time between two firings."""
    _write_line("slow begins")
    threading.Event().wait(0.6)
    _write_line("slow ends")


def failing(event: Mapping[str, Any], context: object) -> None:
    """Always raises."""
    _write_line("failing")
    raise RuntimeError("this function always fails")


def crashing(event: Mapping[str, Any], context: object) -> None:
    """Ends its process."""
    _write_line("crashing")
    os._exit(1)


def stuck(event: Mapping[str, Any], context: object) -> None:
    """Never ends."""
    _write_line("stuck")
    threading.Event().wait()
