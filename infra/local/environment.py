"""An execution environment inside this process: one function, loaded at first use, one event at a time."""

import functools
import importlib
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from infra.local.event import ACCOUNT
from infra.template_map import Function

type Handler = Callable[[Mapping[str, Any], object], Any]

_REGION = "eu-central-1"


class NotLoaded(Exception):
    """A handler's file cannot be imported; the text is the traceback."""


class Context:
    """What Lambda gives a handler beside the event."""

    def __init__(self, function: Function) -> None:
        self.function_name = function.logical_id
        self.function_version = "$LATEST"
        self.memory_limit_in_mb = function.memory_mb
        self.identity = None
        self.client_context = None
        self._ends_at = time.monotonic() + function.timeout_seconds

    @functools.cached_property
    def aws_request_id(self) -> str:
        """This invocation's id."""
        return str(uuid.uuid4())

    @property
    def invoked_function_arn(self) -> str:
        """The function's name in AWS."""
        return f"arn:aws:lambda:{_REGION}:{ACCOUNT}:function:{self.function_name}"

    @property
    def log_group_name(self) -> str:
        """Where AWS would keep the log."""
        return f"/aws/lambda/{self.function_name}"

    @property
    def log_stream_name(self) -> str:
        """This environment's part of it."""
        return "local"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function's Timeout."""
        return max(0, int((self._ends_at - time.monotonic()) * 1000))

    def is_overrun(self, *, grace_seconds: float) -> bool:
        """Whether the Timeout passed this long ago."""
        return time.monotonic() > self._ends_at + grace_seconds


class Environment:
    """What a local host calls a function through."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.context: Context | None = None
        """Of the invocation that runs now."""
        self._handler: Handler | None = None

    def load(self) -> Handler:
        """The handler; raises `NotLoaded`, and tries again when asked again."""
        if self._handler is None:
            module, _, name = self.function.handler.rpartition(".")
            importlib.invalidate_caches()
            try:
                self._handler = getattr(importlib.import_module(module), name)
            except Exception as error:
                sys.modules.pop(module, None)
                raise NotLoaded(traceback.format_exc()) from error
        assert self._handler  # noqa: S101 (for the type checker)
        return self._handler

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """What the handler returns; raises `NotLoaded`, or what the handler raises."""
        handler = self._handler or self.load()
        self.context = context = Context(self.function)
        try:
            return handler(event, context)
        finally:
            self.context = None
