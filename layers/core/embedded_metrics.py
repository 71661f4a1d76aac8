"""Metrics on AWS, in CloudWatch's embedded metric format: lines of the log, which Powertools writes.

The classes have the interface of prometheus_client's. What an invocation counts is written at its end by `flush`, for
the namespace METRICS_NAMESPACE.
"""

from collections.abc import Sequence
from typing import Final, Self

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from layers.core.settings import settings

type _Dimensions = tuple[tuple[str, str], ...]
"""Names and values of a metric's labels, which CloudWatch calls dimensions."""

_counted: Final[dict[_Dimensions, list[tuple[str, MetricUnit, float]]]] = {}


class _Metric:
    """A metric, perhaps with labels."""

    def __init__(self, name: str, _description: str, labels: Sequence[str] = (), **_: object) -> None:
        self._name = name
        self._labels = labels
        self._dimensions: _Dimensions = ()

    def labels(self, *values: str) -> Self:
        """The metric with these values of its labels."""
        labelled = type(self)(self._name, "", self._labels)
        labelled._dimensions = tuple(zip(self._labels, values, strict=True))  # noqa: SLF001 (one of this class)
        return labelled

    def _count(self, name: str, unit: MetricUnit, value: float) -> None:
        _counted.setdefault(self._dimensions, []).append((name, unit, value))


class Counter(_Metric):
    """A sum."""

    def inc(self, amount: float = 1) -> None:
        """Add to it."""
        if amount:
            self._count(f"{self._name}_total", MetricUnit.Count, amount)


class Gauge(_Metric):
    """A value that can fall, too."""

    def set(self, value: float) -> None:
        """Set it."""
        self._count(self._name, MetricUnit.NoUnit, value)


class Histogram(_Metric):
    """A distribution of times in seconds."""

    def observe(self, amount: float) -> None:
        """Add a time to it."""
        self._count(self._name, MetricUnit.Seconds, amount)


def flush() -> None:
    """Write what was counted since the last call, in one line for each set of dimensions."""
    while _counted:
        dimensions, values = _counted.popitem()
        line = EphemeralMetrics(namespace=settings().metrics_namespace)
        for name, value in dimensions:
            line.add_dimension(name, value)
        for metric, unit, amount in values:
            line.add_metric(metric, unit, amount)
        line.flush_metrics()
