"""GET /api/health: the process answers; nothing else is touched."""

from typing import Literal

from layers.core.clock import now
from layers.core.endpoint import endpoint
from layers.core.models import Shape, Time


class Health(Shape, frozen=True, kw_only=True):
    """The answer."""

    status: Literal["ok"] = "ok"
    timestamp: Time


@endpoint(admits=False)
def handler() -> Health:
    return Health(timestamp=now())
