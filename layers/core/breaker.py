"""Circuit breakers: after repeated failures a service is not called for a while."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Final

from layers.core import metrics
from layers.core.errors import StoreUnavailable

_EVENTS: Final = ("success", "failure", "rejected", "open", "half_open", "close")


class BreakerState(IntEnum):
    """The values of the metric `instagram_circuit_breaker_state`."""

    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2


class Breaker:
    """Opens when `failure_ratio` of the last calls (at least `volume`) failed; after `reset_seconds` admits one call.

    While that call runs the breaker is half open and rejects calls of other threads; its outcome closes or opens it.
    A call fails if it raises `StoreUnavailable`; any other exception shows that the service answered.
    Source: M. Nygard, Release It!, "Circuit Breaker".
    """

    def __init__(self, name: str, *, failure_ratio: float = 0.5, volume: int = 3, reset_seconds: float = 60) -> None:
        self.name = name
        self._failure_ratio = failure_ratio
        self._volume = volume
        self._reset_seconds = reset_seconds
        self._outcomes: deque[bool] = deque(maxlen=max(volume, 10))
        self._opened_at = 0.0
        self._state = BreakerState.CLOSED
        self._lock = threading.Lock()
        self._trial_thread = 0
        metrics.BREAKER_STATE.labels(name).set(BreakerState.CLOSED)
        self._events = {event: metrics.BREAKER_EVENTS.labels(name, event) for event in _EVENTS}  # exported as 0 at once

    @property
    def state(self) -> BreakerState:
        """The state now; an open breaker whose waiting time is over counts as half open."""
        if self._state is BreakerState.OPEN and time.monotonic() - self._opened_at >= self._reset_seconds:
            return BreakerState.HALF_OPEN
        return self._state

    @contextmanager
    def guard(self, store: str | None = None, *, part: bool = False) -> Iterator[None]:
        """Run one call in the block; raises `StoreUnavailable` at once while the breaker is open.

        With `part`, the block is only one part of a call: its failure counts, its success does not. With `store`, only
        failures of that store count, because the block may use other stores too.
        """
        self._enter()
        try:
            yield
        except StoreUnavailable as error:
            self._record(succeeded=store is not None and error.store != store)
            raise
        except BaseException:
            self._leave(part=part)
            raise
        self._leave(part=part)

    def _enter(self) -> None:
        with self._lock:
            thread = threading.get_ident()
            if self._state is BreakerState.CLOSED or (
                self._state is BreakerState.HALF_OPEN and self._trial_thread == thread
            ):
                return
            wait = self._reset_seconds - (time.monotonic() - self._opened_at)
            if self._state is BreakerState.OPEN and wait <= 0:
                self._trial_thread = thread
                self._change(BreakerState.HALF_OPEN)
                return
        self._events["rejected"].inc()
        raise StoreUnavailable(self.name, retry_after=max(1, round(wait)))

    def _leave(self, *, part: bool) -> None:
        if not part:
            self._record(succeeded=True)
        elif self._state is BreakerState.HALF_OPEN:
            with self._lock:
                self._state = BreakerState.OPEN  # the outcome is not known yet: the next call decides
                metrics.BREAKER_STATE.labels(self.name).set(BreakerState.OPEN)

    def _record(self, *, succeeded: bool) -> None:
        self._events["success" if succeeded else "failure"].inc()
        with self._lock:
            if self._state is BreakerState.HALF_OPEN:
                self._outcomes.clear()
                self._change(BreakerState.CLOSED if succeeded else BreakerState.OPEN)
                return
            self._outcomes.append(succeeded)
            failures = self._outcomes.count(False)
            fails = len(self._outcomes) >= self._volume and failures >= self._failure_ratio * len(self._outcomes)
            if not succeeded and fails and self._state is BreakerState.CLOSED:
                self._change(BreakerState.OPEN)

    def _change(self, state: BreakerState) -> None:
        self._state = state
        if state is BreakerState.OPEN:
            self._opened_at = time.monotonic()
        metrics.BREAKER_STATE.labels(self.name).set(state)
        self._events[
            {BreakerState.CLOSED: "close", BreakerState.OPEN: "open", BreakerState.HALF_OPEN: "half_open"}[state]
        ].inc()
