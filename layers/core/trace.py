"""The trace id of the work at hand: set by the doors, carried into messages, objects and log lines."""

from contextvars import ContextVar

trace_id: ContextVar[str | None] = ContextVar("trace_id", default=None)
