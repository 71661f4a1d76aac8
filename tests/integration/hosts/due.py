"""Scheduled functions to test the runner with: each writes a line to DUE_FILE when it begins and when it ends."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def _say(what: str) -> None:
    with Path(os.environ["DUE_FILE"]).open("a") as file:
        file.write(f"{what}\n")


def quick(event: Mapping[str, Any], context: object) -> None:
    """Done at once."""
    _say(f"quick {event['detail-type']}")


def slow(event: Mapping[str, Any], context: object) -> None:
    """Takes longer than the time between two firings."""
    _say("slow begins")
    threading.Event().wait(0.6)
    _say("slow ends")


def failing(event: Mapping[str, Any], context: object) -> None:
    """Raises, always."""
    _say("failing")
    raise RuntimeError("as it must")


def crashing(event: Mapping[str, Any], context: object) -> None:
    """Takes its process along."""
    _say("crashing")
    os._exit(1)


def stuck(event: Mapping[str, Any], context: object) -> None:
    """Never ends."""
    _say("stuck")
    threading.Event().wait()
