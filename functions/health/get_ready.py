"""GET /api/health/ready: answer 200 if Valkey or PostgreSQL is available and the process goes on, otherwise 503."""

from typing import Literal

from layers.core import shutdown
from layers.core.errors import StoreUnavailable
from layers.core.models import Shape
from layers.entrypoints.health_probe import health_probe
from layers.entrypoints.response import Unhealthy
from layers.postgres.connection import transaction
from layers.valkey import heartbeats


class Ready(Shape, frozen=True, kw_only=True):
    """Requests can be served, at least from cached data."""

    status: Literal["ready"] = "ready"


class NotReady(Shape, frozen=True, kw_only=True):
    """Neither store is available, or the process is ending."""

    status: Literal["not_ready"] = "not_ready"
    error: str


@health_probe
def handler() -> Ready | Unhealthy[NotReady]:
    if not (_is_valkey_available() or _is_postgres_available()):
        return Unhealthy(NotReady(error="Neither Valkey nor PostgreSQL is available."))
    if shutdown.has_begun():
        return Unhealthy(NotReady(error="This process is ending."))
    return Ready()


def _is_valkey_available() -> bool:
    try:
        heartbeats.read_last()
    except StoreUnavailable:
        return False
    return True


def _is_postgres_available() -> bool:
    try:
        with transaction():
            return True
    except StoreUnavailable:
        return False
