"""Signs of life of the hosts that nobody calls: `heartbeat:queues` and `heartbeat:schedules`, ISO times."""

from datetime import datetime

from layers.core.clock import now
from layers.valkey.connection import Script

HOSTS = ("queues", "schedules")
_KEPT_SECONDS = 300

_beat = Script("beat")
_heartbeats = Script("heartbeats")


def beat(host: str) -> None:
    """Say that this host lives; forgotten after 300 s. Raises `StoreUnavailable`."""
    _beat(f"heartbeat:{host}", now(), _KEPT_SECONDS)


def last() -> dict[str, datetime | None]:
    """When each host was last heard of, None if not within 300 s. Raises `StoreUnavailable`."""
    times: list[bytes | None] = _heartbeats(*(f"heartbeat:{host}" for host in HOSTS))
    return {host: _time(time) for host, time in zip(HOSTS, times, strict=True)}


def _time(given: bytes | None) -> datetime | None:
    return datetime.fromisoformat(given.decode()) if given else None
