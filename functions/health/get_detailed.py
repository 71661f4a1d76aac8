"""GET /api/health/detailed: check each store and the worker, and measure their latency."""

import concurrent.futures
import resource
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from layers.core.clock import format_time, now
from layers.core.errors import StoreUnavailable
from layers.core.models import Shape, Time
from layers.entrypoints.health_probe import health_probe
from layers.entrypoints.response import Unhealthy
from layers.postgres import connection as postgres
from layers.services import probes
from layers.valkey import connection as valkey
from layers.valkey import heartbeats

VERSION: Final = "0.1.0"

_SECONDS = 2
_HEARTBEAT_SECONDS = 120
_REQUIRED = ("database", "redis", "storage")
_STARTED = time.monotonic()
_MB_PER_PAGE = resource.getpagesize() / 1024 / 1024


class Component(Shape, frozen=True, kw_only=True, omit_defaults=True):
    """The result of one check."""

    status: Literal["ok", "error", "unavailable"]
    """`error` if the check failed; the worker is `unavailable` without a heartbeat in the last 2 min."""
    latency_ms: float | None = None
    """Milliseconds that the check took."""
    error: str | None = None
    """Why the check failed."""
    note: str | None = None
    """Why the component is unavailable."""
    last_heartbeat_at: Time | None = None
    """The older one of the last heartbeats of the queue consumer and of the schedules."""


class Memory(Shape, frozen=True, kw_only=True):
    """Memory of the process that answers, in MiB. The three numbers are equal: all are the resident set size."""

    heap_used_mb: float = msgspec.field(name="heapUsedMB")
    heap_total_mb: float = msgspec.field(name="heapTotalMB")
    rss_mb: float = msgspec.field(name="rssMB")


class Detailed(Shape, frozen=True, kw_only=True):
    """The results of all checks."""

    status: Literal["ok", "degraded"]
    """`degraded` if `database`, `redis` or `storage` is not `ok`."""
    timestamp: Time
    version: str = VERSION
    uptime: float
    """Seconds since the process that answers was started."""
    components: dict[str, Component]
    memory: Memory


@health_probe
def handler() -> Detailed | Unhealthy[Detailed]:
    checks = {
        "database": _check_database,
        "redis": _check_redis,
        "storage": probes.probe_storage,
        "cassandra": probes.probe_cassandra,
        "rabbitmq": probes.probe_rabbitmq,
        "worker": _check_worker,
    }
    components = _run_all(checks)
    is_ok = all(components[name].status == "ok" for name in _REQUIRED)
    answer = Detailed(
        status="ok" if is_ok else "degraded",
        timestamp=now(),
        uptime=round(time.monotonic() - _STARTED, 3),
        components=components,
        memory=_read_memory(),
    )
    return answer if is_ok else Unhealthy(answer)


def _run_all(checks: dict[str, Callable[[], Component | None]]) -> dict[str, Component]:
    """Run all checks at the same time; one that takes longer than 2 s fails."""
    pool = concurrent.futures.ThreadPoolExecutor(len(checks))
    running = {pool.submit(_run, check): name for name, check in checks.items()}
    pool.shutdown(wait=False)
    done, _ = concurrent.futures.wait(running, _SECONDS)
    results = {running[each]: each.result() for each in done}
    timed_out = Component(status="error", error=f"No answer within {_SECONDS} s.")
    return {name: results.get(name, timed_out) for name in checks}


def _run(check: Callable[[], Component | None]) -> Component:
    started = time.perf_counter()
    try:
        component = check()
    except StoreUnavailable:
        return Component(status="error", error="The store does not answer.")
    except (OSError, ValueError) as error:
        return Component(status="error", error=f"The check failed: {type(error).__name__}.")
    return component or Component(status="ok", latency_ms=round((time.perf_counter() - started) * 1000, 2))


def _check_database() -> None:
    try:
        with postgres.transaction():
            pass
    finally:
        postgres.close()  # the connection belongs to this thread, which ends


def _check_redis() -> None:
    try:
        heartbeats.read_last()
    finally:
        valkey.close()


def _check_worker() -> Component:
    """Read the heartbeats of the queue consumer and of the schedules from Valkey."""
    try:
        last = heartbeats.read_last()
    except StoreUnavailable:
        return Component(status="unavailable", note="Unknown, because redis does not answer.")
    finally:
        valkey.close()
    oldest = min((beat for beat in last.values() if beat), default=None)
    at = format_time(oldest) if oldest else None
    silent = [host for host, beat in last.items() if beat is None or _age_seconds(beat) > _HEARTBEAT_SECONDS]
    if silent:
        note = f"No heartbeat for more than {_HEARTBEAT_SECONDS} s: {', '.join(silent)}."
        return Component(status="unavailable", note=note, last_heartbeat_at=at)
    return Component(status="ok", last_heartbeat_at=at)


def _age_seconds(beat: datetime) -> float:
    return (datetime.now(UTC) - beat).total_seconds()


def _read_memory() -> Memory:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    used = round(pages * _MB_PER_PAGE, 1)
    return Memory(heap_used_mb=used, heap_total_mb=used, rss_mb=used)
