"""The ids of the current invocation, set by entry points and written to log lines."""

from contextvars import ContextVar

trace_id: ContextVar[str | None] = ContextVar("trace_id", default=None)
"""Of everything that one request causes; also written to messages and objects (R-O2)."""
function_request_id: ContextVar[str | None] = ContextVar("function_request_id", default=None)
"""Lambda's id of the invocation; None outside of invocations."""
