"""One JSON line per invocation, with its trace id."""

import functools
import logging
from typing import Any

import msgspec
from aws_lambda_powertools import Logger

from layers.core.settings import settings

_SERVICE = "photogram"


def _serialized(record: dict[str, Any]) -> str:
    return msgspec.json.encode(record, enc_hook=str).decode()


@functools.cache
def logger() -> Logger:
    """The process's logger, writing JSON to standard output."""
    logging.getLogger(_SERVICE).propagate = False  # a host's own handlers would write each line again
    return Logger(
        service=_SERVICE,
        level=settings().log_level,
        json_serializer=_serialized,
        datefmt="%Y-%m-%dT%H:%M:%S.%FZ",
        utc=True,
    )
