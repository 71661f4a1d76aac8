"""What a host that is not Lambda's API invokes, and how an invocation can fail."""

from collections.abc import Mapping
from typing import Any, Protocol


class InvocationFailed(Exception):
    """The handler raised; the message is its traceback."""


class EnvironmentCrashed(InvocationFailed):
    """The environment's process ended during the invocation."""


class TimedOut(InvocationFailed):
    """The handler ran longer than the function's timeout; its process was killed."""


class Invocable(Protocol):
    """A function that can be invoked: an environment on this machine, or a function deployed elsewhere."""

    def start(self) -> None:
        """Prepare for the first event; raises `InvocationFailed`."""

    def invoke(self, event: Mapping[str, Any], *, timeout_seconds: float) -> Any:
        """What the handler returns; raises `InvocationFailed`."""

    def kill(self) -> None:
        """Release what `start` or `invoke` started."""
