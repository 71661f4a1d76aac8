"""Entry point of schedules: takes an event of EventBridge and returns the result of the handler."""

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

from layers.core.logging import function_name, logger
from layers.entrypoints.invocation import invocation


def on_schedule[Result](handler: Callable[[], Result]) -> Callable[[Mapping[str, Any], object], Result]:
    """Make a Lambda handler from a function without parameters, whose result is logged; use it as a decorator."""
    name = function_name(handler)

    @functools.wraps(handler)
    def run(event: Mapping[str, Any], context: object) -> Result:
        with invocation(context):
            started = time.perf_counter()
            outcome = "failed"
            try:
                result = handler()
                outcome = str(result)
                return result
            finally:
                logger().info(
                    "schedule",
                    function=name,
                    trace_id=event.get("id"),
                    outcome=outcome,
                    duration_ms=round((time.perf_counter() - started) * 1000, 2),
                )

    return run
