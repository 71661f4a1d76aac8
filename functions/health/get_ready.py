"""GET /api/health/ready: whether requests can be served at least from copies: Valkey or PostgreSQL answers."""

from typing import Literal

from layers.core.endpoint import endpoint
from layers.core.errors import StoreUnavailable
from layers.core.models import Shape
from layers.core.response import Unhealthy
from layers.postgres.connection import transaction
from layers.valkey import heartbeats


class Ready(Shape, frozen=True, kw_only=True):
    """The answer when it can."""

    status: Literal["ready"] = "ready"


class NotReady(Shape, frozen=True, kw_only=True):
    """The answer when it cannot."""

    status: Literal["not_ready"] = "not_ready"
    error: str


@endpoint(admits=False)
def handler() -> Ready | Unhealthy[NotReady]:
    return Ready() if _valkey_answers() or _database_answers() else Unhealthy(NotReady(error="No store answers."))


def _valkey_answers() -> bool:
    try:
        heartbeats.last()
    except StoreUnavailable:
        return False
    return True


def _database_answers() -> bool:
    try:
        with transaction():
            return True
    except StoreUnavailable:
        return False
