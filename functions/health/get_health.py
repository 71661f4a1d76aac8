"""GET /api/health: answer 200 while the process runs; no store is asked."""

from typing import Literal

from layers.core.clock import now
from layers.core.models import Shape, Time
from layers.entrypoints.health_probe import health_probe


class Health(Shape, frozen=True, kw_only=True):
    """The process runs."""

    status: Literal["ok"] = "ok"
    timestamp: Time


@health_probe
def handler() -> Health:
    return Health(timestamp=now())
