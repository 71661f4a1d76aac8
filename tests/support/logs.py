"""What functions write to their log."""

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from layers.core.logging import logger


@contextmanager
def capture_log() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """A function that gives the lines written by this process since the block began, decoded, oldest first."""
    written = io.StringIO()
    handler = logger().registered_handler
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(written)
    try:
        yield lambda: [msgspec.json.decode(line) for line in written.getvalue().splitlines()]
    finally:
        handler.setStream(before)
