"""Circuit breakers: after repeated failures a service is left alone for a while."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from layers.core import metrics
from layers.core.errors import StoreUnavailable


class State(IntEnum):
    """As the metric `instagram_circuit_breaker_state` shows it."""

    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2


class Breaker:
    """Opens when `failure_ratio` of the last calls (at least `volume`) failed; after `reset_seconds` lets one try.

    A call fails when it raises `StoreUnavailable`; any other exception says that the service answered.
    """

    def __init__(self, name: str, *, failure_ratio: float = 0.5, volume: int = 3, reset_seconds: float = 60) -> None:
        self.name = name
        self._failure_ratio = failure_ratio
        self._volume = volume
        self._reset_seconds = reset_seconds
        self._outcomes: deque[bool] = deque(maxlen=max(volume, 10))
        self._opened_at = 0.0
        self._state = State.CLOSED
        metrics.BREAKER_STATE.labels(name).set(State.CLOSED)
        for event in ("failure", "open"):
            metrics.BREAKER_EVENTS.labels(name, event)  # shown as 0 until then

    @property
    def state(self) -> State:
        """The state now; an open breaker whose rest is over is half open."""
        if self._state is State.OPEN and time.monotonic() - self._opened_at >= self._reset_seconds:
            return State.HALF_OPEN
        return self._state

    @contextmanager
    def guard(self, store: str | None = None, *, part: bool = False) -> Iterator[None]:
        """Run one call; raises `StoreUnavailable` at once while the breaker is open.

        Where it is only a `part` of the call, its failure counts, but its success says nothing yet. With `store`, only
        what that one failed to do counts: work inside may use others.
        """
        if self.state is State.OPEN:
            rest = self._reset_seconds - (time.monotonic() - self._opened_at)
            raise StoreUnavailable(self.name, retry_after=max(1, round(rest)))
        try:
            yield
        except StoreUnavailable as error:
            self._record(succeeded=store is not None and error.store != store)
            raise
        except BaseException:
            if not part:
                self._record(succeeded=True)
            raise
        if not part:
            self._record(succeeded=True)

    def _record(self, *, succeeded: bool) -> None:
        if self._state is State.OPEN:  # this was the one try
            self._outcomes.clear()
            self._change(State.CLOSED if succeeded else State.OPEN)
            return
        self._outcomes.append(succeeded)
        if succeeded:
            return
        metrics.BREAKER_EVENTS.labels(self.name, "failure").inc()
        failures = self._outcomes.count(False)
        if len(self._outcomes) >= self._volume and failures >= self._failure_ratio * len(self._outcomes):
            self._change(State.OPEN)

    def _change(self, state: State) -> None:
        self._state = state
        if state is State.OPEN:
            self._opened_at = time.monotonic()
            metrics.BREAKER_EVENTS.labels(self.name, "open").inc()
        metrics.BREAKER_STATE.labels(self.name).set(state)
