"""GET /api/health/detailed: each store and the worker, with what they answered and how fast."""

import concurrent.futures
import resource
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from layers.core import probes
from layers.core.clock import now, written
from layers.core.endpoint import endpoint
from layers.core.errors import StoreUnavailable
from layers.core.models import Shape, Time
from layers.core.response import Unhealthy
from layers.postgres import connection as postgres
from layers.valkey import connection as valkey
from layers.valkey import heartbeats

VERSION: Final = "0.1.0"

_SECONDS = 2
_SILENT_SECONDS = 120
_NEEDED = ("database", "redis", "storage")
_STARTED = time.monotonic()
_MB_PER_PAGE = resource.getpagesize() / 1024 / 1024


class Component(Shape, frozen=True, kw_only=True, omit_defaults=True):
    """One part of the system."""

    status: Literal["ok", "error", "unavailable"]
    latency_ms: float | None = None
    error: str | None = None
    note: str | None = None
    last_heartbeat_at: Time | None = None


class Memory(Shape, frozen=True, kw_only=True):
    """This environment's; Python has no split into heaps."""

    heap_used_mb: float = msgspec.field(name="heapUsedMB")
    heap_total_mb: float = msgspec.field(name="heapTotalMB")
    rss_mb: float = msgspec.field(name="rssMB")


class Detailed(Shape, frozen=True, kw_only=True):
    """The answer."""

    status: Literal["ok", "degraded"]
    timestamp: Time
    version: str = VERSION
    uptime: float
    components: dict[str, Component]
    memory: Memory


@endpoint(admits=False)
def handler() -> Detailed | Unhealthy[Detailed]:
    asked = {
        "database": _database,
        "redis": _redis,
        "storage": probes.storage,
        "cassandra": probes.cassandra,
        "rabbitmq": probes.rabbitmq,
        "worker": _worker,
    }
    components = _all(asked)
    is_well = all(components[name].status == "ok" for name in _NEEDED)
    answer = Detailed(
        status="ok" if is_well else "degraded",
        timestamp=now(),
        uptime=round(time.monotonic() - _STARTED, 3),
        components=components,
        memory=_memory(),
    )
    return answer if is_well else Unhealthy(answer)


def _all(asked: dict[str, Callable[[], Component | None]]) -> dict[str, Component]:
    """All at once; one that takes longer than 2 s is not waited for."""
    pool = concurrent.futures.ThreadPoolExecutor(len(asked))
    running = {pool.submit(_one, ask): name for name, ask in asked.items()}
    pool.shutdown(wait=False)
    done, _ = concurrent.futures.wait(running, _SECONDS)
    found = {running[each]: each.result() for each in done}
    silent = Component(status="error", error=f"No answer within {_SECONDS} s.")
    return {name: found.get(name, silent) for name in asked}


def _one(ask: Callable[[], Component | None]) -> Component:
    started = time.perf_counter()
    try:
        component = ask()
    except StoreUnavailable:
        return Component(status="error", error="It does not answer.")
    except (OSError, ValueError) as error:
        return Component(status="error", error=f"It does not answer as it should: {type(error).__name__}.")
    return component or Component(status="ok", latency_ms=round((time.perf_counter() - started) * 1000, 2))


def _database() -> None:
    try:
        with postgres.transaction():
            pass
    finally:
        postgres.close()  # this thread's own


def _redis() -> None:
    try:
        heartbeats.last()
    finally:
        valkey.close()


def _worker() -> Component:
    """The queue consumer and the schedules, as Valkey remembers their signs of life; the one that is silent longer."""
    try:
        last = heartbeats.last()
    except StoreUnavailable:
        return Component(status="unavailable", note="Unknown while Redis is away.")
    finally:
        valkey.close()
    oldest = min((beat for beat in last.values() if beat), default=None)
    at = written(oldest) if oldest else None
    silent = [host for host, beat in last.items() if beat is None or _age(beat) > _SILENT_SECONDS]
    if silent:
        note = f"Silent for more than {_SILENT_SECONDS} s: {', '.join(silent)}."
        return Component(status="unavailable", note=note, last_heartbeat_at=at)
    return Component(status="ok", last_heartbeat_at=at)


def _age(beat: datetime) -> float:
    return (datetime.now(UTC) - beat).total_seconds()


def _memory() -> Memory:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    used = round(pages * _MB_PER_PAGE, 1)
    return Memory(heap_used_mb=used, heap_total_mb=used, rss_mb=used)
