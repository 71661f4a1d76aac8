"""What GET /metrics answers: all local processes' counts, and what is looked up at the moment of asking."""

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from infra import template_map
from infra.local.event import Headers
from layers.core.errors import StoreUnavailable
from layers.core.logging import logger
from layers.core.settings import settings

type Gauges = Callable[[], Iterable[Metric]]


def exposed() -> tuple[int, Headers, bytes]:
    """Status, headers and body of the answer; what a store that is away would tell is left out."""
    registry = CollectorRegistry()
    if folder := settings().prometheus_multiproc_dir:
        _forget_the_dead(Path(folder))
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(REGISTRY)
    counted = list(registry.collect())
    shown = CollectorRegistry()
    shown.register(_Shown(counted))
    for gauges in GAUGES:
        shown.register(_Shown(_looked_up(gauges)))
    shown.register(_Shown([_hit_ratio(counted)]))
    return HTTPStatus.OK.value, [("content-type", CONTENT_TYPE_LATEST)], generate_latest(shown)


def _forget_the_dead(folder: Path) -> None:
    """What live processes say of themselves goes with them; what they counted stays."""
    for file in folder.glob("gauge_live*_*.db"):
        if not Path(f"/proc/{file.stem.rpartition('_')[2]}").exists():
            file.unlink(missing_ok=True)


class _Shown(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _looked_up(gauges: Gauges) -> list[Metric]:
    try:
        return list(gauges())
    except (StoreUnavailable, LookupError) as error:
        logger().warning("gauge not read", gauge=gauges.__name__, reason=repr(error))
        return []


def _queue_depth() -> Iterator[Metric]:
    from layers.rabbitmq.connection import depth  # noqa: PLC0415 (the driver loads in the process that is asked)

    gauge = GaugeMetricFamily("queue_depth", "Messages ready", labels=["queue_name"])
    for queue in template_map.queues():
        for name in (queue.name, f"{queue.name}.dead"):
            gauge.add_metric([name], depth(name))
    yield gauge


ACTIVE_SESSIONS = "SELECT count(*) FROM sessions WHERE expires_at > now()"


def _active_sessions() -> Iterator[Metric]:
    from layers.postgres.connection import autocommit  # noqa: PLC0415

    with autocommit() as db:
        row = db.execute(ACTIVE_SESSIONS).fetchone()
    for name in ("active_sessions", "instagram_active_sessions"):
        yield GaugeMetricFamily(name, "Live sign-ins", value=row[0] if row else 0)


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
    found = stored_bytes()
    if found is not None:
        gauge.add_metric([settings().s3_bucket], found)
    yield gauge


def _hit_ratio(counted: Iterable[Metric]) -> Metric:
    totals = {sample.name: sample.value for metric in counted for sample in metric.samples}
    hits = totals.get("instagram_feed_cache_hits_total", 0)
    asked = hits + totals.get("instagram_feed_cache_misses_total", 0)
    return GaugeMetricFamily(
        "feed_cache_hit_ratio", "Home feeds answered from Valkey alone", hits / asked if asked else 0
    )


GAUGES: tuple[Gauges, ...] = (_queue_depth, _active_sessions, _connections, _stored_bytes)
"""Each yields metrics; add yours here."""
