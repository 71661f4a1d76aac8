"""One JSON line per invocation, with its trace id."""

import functools
from typing import Any

import msgspec
from aws_lambda_powertools import Logger

from layers.core.settings import settings


def _serialized(record: dict[str, Any]) -> str:
    return msgspec.json.encode(record, enc_hook=str).decode()


@functools.cache
def logger() -> Logger:
    """The process's logger, writing JSON to standard output."""
    return Logger(
        service="photogram",
        level=settings().log_level,
        json_serializer=_serialized,
        datefmt="%Y-%m-%dT%H:%M:%S.%FZ",
        utc=True,
    )
