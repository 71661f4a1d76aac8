"""Circuit breakers: after repeated failures a service is not called for a while."""

import threading
import time
from collections import deque
from enum import IntEnum
from types import TracebackType
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

    def guard(self, store: str | None = None, *, part: bool = False) -> "Guard":
        """Run one call in a `with` block; raises `StoreUnavailable` at once while the breaker is open.

        With `part`, the block is only one part of a call: its failure counts, its success does not. With `store`, only
        failures of that store count, because the block may use other stores too.
        """
        return Guard(self, store, part)

    def enter(self) -> None:
        """Begin a call; raises `StoreUnavailable` unless the breaker is closed or this call is the trial."""
        if self._state is BreakerState.CLOSED:
            return
        with self._lock:
            thread = threading.get_ident()
            if self._state is BreakerState.HALF_OPEN and self._trial_thread == thread:
                return
            wait = self._reset_seconds - (time.monotonic() - self._opened_at)
            if self._state is BreakerState.OPEN and wait <= 0:
                self._trial_thread = thread
                self._change(BreakerState.HALF_OPEN)
                return
        self._events["rejected"].inc()
        raise StoreUnavailable(self.name, retry_after=max(1, round(wait)))

    def record(self, *, succeeded: bool) -> None:
        """Count the outcome of a call."""
        self._events["success" if succeeded else "failure"].inc()
        if succeeded and self._state is BreakerState.CLOSED:  # no lock: this is nearly every call
            self._outcomes.append(True)
            return
        with self._lock:
            if self._state is BreakerState.HALF_OPEN:
                self._outcomes.clear()
                self._change(BreakerState.CLOSED if succeeded else BreakerState.OPEN)
                return
            self._outcomes.append(succeeded)
            failures = self._outcomes.count(False)
            fails = len(self._outcomes) >= self._volume and failures >= self._failure_ratio * len(self._outcomes)
            if fails and not succeeded and self._state is BreakerState.CLOSED:
                self._change(BreakerState.OPEN)

    def abandon_trial(self) -> None:
        """Leave the outcome of a trial to the next call: only a part of this one has succeeded."""
        with self._lock:
            if self._state is BreakerState.HALF_OPEN:
                self._state = BreakerState.OPEN
                metrics.BREAKER_STATE.labels(self.name).set(BreakerState.OPEN)

    def _change(self, state: BreakerState) -> None:
        self._state = state
        if state is BreakerState.OPEN:
            self._opened_at = time.monotonic()
        metrics.BREAKER_STATE.labels(self.name).set(state)
        self._events[
            {BreakerState.CLOSED: "close", BreakerState.OPEN: "open", BreakerState.HALF_OPEN: "half_open"}[state]
        ].inc()


class Guard:
    """One call under a breaker. A class, as it costs half of what a generator does, and every cached feed has two."""

    __slots__ = ("_breaker", "_part", "_store")

    def __init__(self, breaker: Breaker, store: str | None, part: bool) -> None:  # noqa: FBT001 (called by `guard` alone)
        self._breaker = breaker
        self._store = store
        self._part = part

    def __enter__(self) -> None:
        self._breaker.enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, StoreUnavailable):
            self._breaker.record(succeeded=self._store is not None and error.store != self._store)
        elif self._part:
            self._breaker.abandon_trial()
        else:
            self._breaker.record(succeeded=True)
