"""GET /api/health/live: answer 200 while the process runs."""

from typing import Literal

from layers.core.models import Shape
from layers.entrypoints.health_probe import health_probe


class Live(Shape, frozen=True, kw_only=True):
    """The process runs."""

    status: Literal["alive"] = "alive"


@health_probe
def handler() -> Live:
    return Live()
