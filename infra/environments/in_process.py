"""An execution environment inside this process: one function, loaded at first use, one event at a time."""

from collections.abc import Mapping
from typing import Any

from infra.environments import handlers
from infra.environments.context import Context
from infra.environments.handlers import Handler
from infra.template_map import Function


class InProcessEnvironment:
    """Calls a function's handler as Lambda does. The timeout is not enforced; `context` lets the caller check it."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.context: Context | None = None
        """Of the running invocation; None between invocations."""
        self._handler: Handler | None = None

    def load(self) -> Handler:
        """The handler; raises `HandlerNotLoaded`, and tries again at the next call."""
        if self._handler is None:
            self._handler = handlers.load(self.function.handler)
        return self._handler

    def unload(self) -> None:
        """Forget the handler: the next call of `load` imports it, unless its module is still in memory."""
        self._handler = None

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """What the handler returns; raises `HandlerNotLoaded`, or what the handler raises."""
        handler = self._handler or self.load()
        self.context = context = Context(self.function)
        try:
            return handler(event, context)
        finally:
            self.context = None
