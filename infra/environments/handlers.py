"""Imports handlers by the names that the template gives them. No other module of infra imports by name."""

import contextlib
import importlib
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, Final

type Handler = Callable[[Mapping[str, Any], object], Any]

_DRIVERS: Final = {"postgres": "layers.postgres.driver", "cassandra": "layers.cassandra.driver"}
"""By layer, what its functions import at first use because it takes long."""


class HandlerNotLoaded(Exception):
    """A handler cannot be imported; the message is the traceback."""


def import_module(handler: str) -> ModuleType:
    """The module of a handler such as `functions.posts.like_post.handler`; raises `ImportError` or what it raises."""
    return importlib.import_module(handler.rpartition(".")[0])


def load(handler: str) -> Handler:
    """The handler; raises `HandlerNotLoaded`. After a failure, the next call imports the file again."""
    module, _, name = handler.rpartition(".")
    importlib.invalidate_caches()
    try:
        loaded: Handler = getattr(import_module(handler), name)
    except Exception as error:
        sys.modules.pop(module, None)
        raise HandlerNotLoaded(traceback.format_exc()) from error
    return loaded


def load_drivers(layers: Iterable[str]) -> None:
    """Import the drivers of these layers, before this process is forked: forked processes share their memory."""
    for layer in layers:
        if module := _DRIVERS.get(layer):
            with contextlib.suppress(Exception):  # the function that needs it fails with the same error
                importlib.import_module(module)
