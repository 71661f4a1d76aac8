"""The ids of the current invocation, set by entry points and written to log lines."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

trace_id: ContextVar[str | None] = ContextVar("trace_id", default=None)
"""Of everything that one request causes; also written to messages and objects (R-O2)."""
function_request_id: ContextVar[str | None] = ContextVar("function_request_id", default=None)
"""Lambda's id of the invocation; None outside of invocations."""


@contextmanager
def invocation(context: object) -> Iterator[None]:
    """The invocation that has this context object of Lambda."""
    token = function_request_id.set(getattr(context, "aws_request_id", None))
    try:
        yield
    finally:
        function_request_id.reset(token)
