"""What every invocation does, by HTTP, of a queue, of a schedule or of a live connection."""

from collections.abc import Iterator
from contextlib import contextmanager

from layers.core import metrics, trace


@contextmanager
def invocation(context: object) -> Iterator[None]:
    """The invocation that has this context object of Lambda: log lines carry its id, and its metrics are written."""
    token = trace.function_request_id.set(getattr(context, "aws_request_id", None))
    try:
        yield
    finally:
        metrics.flush()
        trace.function_request_id.reset(token)
