"""The log: one JSON line per invocation, with its trace id (R-O3)."""

import functools
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from layers.core.settings import settings

_SERVICE: Final = "photogram"
_STANDARD_ATTRIBUTES: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class _LineFormatter(LambdaPowertoolsFormatter):
    """Powertools' format in a third of its time: a line costs a sixth of the time of a cached feed."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record; a record with an exception is formatted by Powertools, with its stack."""
        if record.exc_info:
            return super().format(record)
        line: dict[str, Any] = {
            "level": record.levelname,
            "message": record.getMessage(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "service": _SERVICE,
        }
        attributes = record.__dict__
        line |= {name: attributes[name] for name in attributes if name not in _STANDARD_ATTRIBUTES}
        return _serialize(line)


def _serialize(record: Any) -> str:
    return msgspec.json.encode(record, enc_hook=str).decode()


def function_name(handler: Callable[..., object]) -> str:
    """The name of a function in the log: that of its module without the package (`like_post`)."""
    return handler.__module__.rpartition(".")[2]


@functools.cache
def logger() -> Logger:
    """The logger of this process; it writes JSON to standard output."""
    logging.getLogger(_SERVICE).propagate = False  # otherwise the handlers of a host would write each line again
    formatter = _LineFormatter(json_serializer=_serialize, datefmt="%Y-%m-%dT%H:%M:%S.%FZ", utc=True)
    return Logger(service=_SERVICE, level=settings().log_level, logger_formatter=formatter)
