"""The trace id of the current invocation: set by entry points, written to log lines, messages and objects (R-O2)."""

from contextvars import ContextVar

trace_id: ContextVar[str | None] = ContextVar("trace_id", default=None)
