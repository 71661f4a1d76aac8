"""The door for schedules: EventBridge's event in, what was done out."""

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

from layers.core.logging import function_name, logger


def on_schedule[Done](handler: Callable[[], Done]) -> Callable[[Mapping[str, Any], object], Done]:
    """Make a Lambda handler of a function that takes nothing; what it returns is logged and returned."""
    name = function_name(handler)

    @functools.wraps(handler)
    def fire(event: Mapping[str, Any], context: object) -> Done:  # noqa: ARG001 (Lambda's form)
        started = time.perf_counter()
        outcome = "failed"
        try:
            done = handler()
            outcome = str(done)
            return done
        finally:
            logger().info(
                "schedule",
                function=name,
                trace_id=event.get("id"),
                outcome=outcome,
                duration_ms=round((time.perf_counter() - started) * 1000, 2),
            )

    return fire
