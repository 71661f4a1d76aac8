"""GET /api/health: the process answers; nothing else is touched."""

from datetime import UTC, datetime

from layers.core.endpoint import endpoint
from layers.core.models import Shape


class Health(Shape, frozen=True, kw_only=True):
    """The answer."""

    status: str
    timestamp: str


@endpoint(admits=False)
def handler() -> Health:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Health(status="ok", timestamp=now)
