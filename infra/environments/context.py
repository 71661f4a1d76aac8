"""The context object that Lambda passes to a handler beside the event.

https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
"""

import functools
import time
import uuid

from infra.events.account import ACCOUNT, REGION
from infra.template_map import Function


class Context:
    """The context of one invocation; the function's timeout starts when it is created."""

    def __init__(self, function: Function) -> None:
        self.function_name = function.logical_id
        self.function_version = "$LATEST"
        self.memory_limit_in_mb = function.memory_mb
        self.identity = None
        self.client_context = None
        self._ends_at = time.monotonic() + function.timeout_seconds

    @functools.cached_property
    def aws_request_id(self) -> str:
        """The id of this invocation, a UUID."""
        return str(uuid.uuid4())

    @property
    def invoked_function_arn(self) -> str:
        """The function's ARN, in the local account."""
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.function_name}"

    @property
    def log_group_name(self) -> str:
        """The log group that the function has in AWS."""
        return f"/aws/lambda/{self.function_name}"

    @property
    def log_stream_name(self) -> str:
        """The log stream; always `local`."""
        return "local"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function's timeout, at least 0."""
        return max(0, int((self._ends_at - time.monotonic()) * 1000))

    def has_timed_out(self, *, grace_seconds: float) -> bool:
        """Whether the timeout passed more than `grace_seconds` ago."""
        return time.monotonic() > self._ends_at + grace_seconds
