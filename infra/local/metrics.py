"""The answer to GET /metrics: the counters of all local processes, and gauges that are read for each request."""

import os
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from infra import template_map
from infra.events.rest import Headers
from layers.core.errors import StoreUnavailable
from layers.core.logging import logger
from layers.core.settings import settings

type Gauges = Callable[[], Iterable[Metric]]


def response() -> tuple[int, Headers, bytes]:
    """Status, headers and body, in Prometheus's text format; gauges of a store that is unavailable are left out."""
    registry = CollectorRegistry()
    if folder := settings().prometheus_multiproc_dir:
        _delete_gauges_of_dead_processes(Path(folder))
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(REGISTRY)
    counters = list(registry.collect())
    exported = CollectorRegistry()
    exported.register(_Fixed([*counters, *second_names(counters)]))
    for gauges in GAUGES:
        exported.register(_Fixed(_read(gauges)))
    exported.register(_Fixed([_hit_ratio(counters)]))
    return HTTPStatus.OK.value, [("content-type", CONTENT_TYPE_LATEST)], generate_latest(exported)


def _delete_gauges_of_dead_processes(folder: Path) -> None:
    """`gauge_live*` files describe a running process; counters of a dead process still count."""
    for file in folder.glob("gauge_live*_*.db"):
        if not Path(f"/proc/{file.stem.rpartition('_')[2]}").exists():
            file.unlink(missing_ok=True)


def delete_own_files() -> None:
    """Delete the files of this process, which has counted nothing."""
    if folder := settings().prometheus_multiproc_dir:
        for file in Path(folder).glob(f"*_{os.getpid()}.db"):
            file.unlink()


class _Fixed(Collector):
    """Metrics that were collected already."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _read(gauges: Gauges) -> list[Metric]:
    try:
        return list(gauges())
    except (StoreUnavailable, LookupError) as error:
        logger().warning("gauge not read", gauge=gauges.__name__, reason=repr(error))
        return []


def _queue_depth() -> Iterator[Metric]:
    from layers.rabbitmq.connection import queue_depth  # noqa: PLC0415 (only processes that serve /metrics load the driver)

    gauge = GaugeMetricFamily("queue_depth", "Messages ready", labels=["queue_name"])
    for queue in template_map.queues():
        for name in (queue.name, f"{queue.name}.dead"):
            gauge.add_metric([name], queue_depth(name))
    yield gauge


ACTIVE_SESSIONS = "SELECT count(*) FROM sessions WHERE expires_at > now()"


def _active_sessions() -> Iterator[Metric]:
    from layers.postgres.connection import autocommit  # noqa: PLC0415

    with autocommit() as db:
        row = db.execute(ACTIVE_SESSIONS).fetchone()
    for name in ("active_sessions", "instagram_active_sessions"):
        yield GaugeMetricFamily(name, "Sessions that have not expired", value=row[0] if row else 0)


CONNECTIONS = """
    SELECT coalesce(state, 'other'), count(*) FROM pg_stat_activity WHERE datname = current_database() GROUP BY 1
"""


def _connections() -> Iterator[Metric]:
    from layers.postgres.connection import autocommit  # noqa: PLC0415

    gauge = GaugeMetricFamily("instagram_db_connection_pool_size", "Connections to PostgreSQL", labels=["state"])
    with autocommit() as db:
        for state, count in db.execute(CONNECTIONS):
            gauge.add_metric([state], count)
    yield gauge


def _stored_bytes() -> Iterator[Metric]:
    from layers.media.usage import stored_bytes  # noqa: PLC0415

    gauge = GaugeMetricFamily("storage_bytes_total", "Bytes of all objects", labels=["bucket"])
    total = stored_bytes()
    if total is not None:
        gauge.add_metric([settings().s3_bucket], total)
    yield gauge


def second_names(counters: Iterable[Metric]) -> Iterator[Metric]:
    """Metrics of requests under their second names, whose labels are others; only one of the two is counted."""
    for metric in counters:
        if metric.name == "instagram_http_requests":
            renamed = CounterMetricFamily("http_requests", metric.documentation, labels=["method", "path", "status"])
            for sample in metric.samples:
                if sample.name.endswith("_total"):
                    renamed.add_metric(
                        [sample.labels[name] for name in ("method", "route", "status_code")], sample.value
                    )
            yield renamed
        elif metric.name == "instagram_http_request_duration_seconds":
            yield _without_status(metric)


def _without_status(seconds: Metric) -> Metric:
    """The histogram of all statuses together."""
    renamed = Metric("http_request_duration_seconds", seconds.documentation, seconds.type)
    sums: dict[tuple[str, str, str, str | None], float] = {}
    for sample in seconds.samples:
        name = sample.name.removeprefix("instagram_")
        key = name, sample.labels["method"], sample.labels["route"], sample.labels.get("le")
        if not name.endswith("_created"):
            sums[key] = sums.get(key, 0) + sample.value
    for (name, method, path, bound), value in sums.items():
        labels = {"method": method, "path": path} | ({"le": bound} if bound is not None else {})
        renamed.add_sample(name, labels, value)
    return renamed


def _hit_ratio(counters: Iterable[Metric]) -> Metric:
    totals = {sample.name: sample.value for metric in counters for sample in metric.samples}
    hits = totals.get("instagram_feed_cache_hits_total", 0)
    lookups = hits + totals.get("instagram_feed_cache_misses_total", 0)
    return GaugeMetricFamily(
        "feed_cache_hit_ratio", "Home feeds answered from Valkey alone", hits / lookups if lookups else 0
    )


GAUGES: tuple[Gauges, ...] = (_queue_depth, _active_sessions, _connections, _stored_bytes)
"""Each yields metrics when called; a new gauge is added here."""
