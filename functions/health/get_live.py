"""GET /api/health/live: the process answers."""

from typing import Literal

from layers.core.endpoint import endpoint
from layers.core.models import Shape


class Live(Shape, frozen=True, kw_only=True):
    """The answer."""

    status: Literal["alive"] = "alive"


@endpoint(admits=False)
def handler() -> Live:
    return Live()
