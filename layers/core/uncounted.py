"""Metrics where nothing collects them: they take what prometheus_client's take, and do nothing."""

from typing import Self


class Metric:
    """A metric, also with labels."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def labels(self, *_: object) -> Self:
        """Itself."""
        return self

    def inc(self, amount: float = 1) -> None:
        """Do nothing."""

    def set(self, value: float) -> None:
        """Do nothing."""

    def observe(self, amount: float) -> None:
        """Do nothing."""


Counter = Gauge = Histogram = Metric
