"""Heartbeats of the hosts that serve no requests: `heartbeat:queues` and `heartbeat:schedules`, ISO 8601 times."""

from datetime import datetime
from typing import Final

from layers.core.clock import now
from layers.valkey.connection import Script

HOSTS = ("queues", "schedules")
_LIFETIME_SECONDS = 300

RECORD: Final = Script("deadlines", "record_heartbeat")
READ_LAST: Final = Script("deadlines", "read_heartbeats")


def record(host: str) -> None:
    """Record that this host is running, for 300 s, and remove keys that have ended. Raises `StoreUnavailable`."""
    RECORD(f"heartbeat:{host}", now(), _LIFETIME_SECONDS)


def read_last() -> dict[str, datetime | None]:
    """The time of the last heartbeat of each host; None if it is older than 300 s. Raises `StoreUnavailable`."""
    times: list[bytes | None] = READ_LAST(*(f"heartbeat:{host}" for host in HOSTS))
    return {host: _parse_time(time) for host, time in zip(HOSTS, times, strict=True)}


def _parse_time(text: bytes | None) -> datetime | None:
    return datetime.fromisoformat(text.decode()) if text else None
