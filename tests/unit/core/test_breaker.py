"""Circuit breakers."""

import threading

import pytest
from prometheus_client import REGISTRY

from layers.core.breaker import Breaker, BreakerState
from layers.core.errors import PostNotFound, StoreUnavailable
from tests.support.waiting import until


def _state(breaker: Breaker) -> BreakerState:
    """The state now; an attribute would keep the type that an earlier assertion gave it."""
    return breaker.state


def _fail(breaker: Breaker) -> None:
    with pytest.raises(StoreUnavailable), breaker.guard():
        raise StoreUnavailable("test")


def _succeed(breaker: Breaker) -> None:
    with breaker.guard():
        pass


def test_it_opens_when_half_of_at_least_three_calls_failed() -> None:
    breaker = Breaker("half", volume=3, reset_seconds=60)
    _fail(breaker)
    _succeed(breaker)
    assert _state(breaker) is BreakerState.CLOSED
    _fail(breaker)

    assert _state(breaker) is BreakerState.OPEN


def test_while_open_it_calls_nothing_and_gives_the_seconds_to_wait() -> None:
    breaker = Breaker("open", volume=1, reset_seconds=60)
    _fail(breaker)

    with pytest.raises(StoreUnavailable) as refused, breaker.guard():
        pytest.fail("called")
    assert 55 <= refused.value.retry_after <= 60


def test_after_the_reset_time_one_success_closes_it_and_one_failure_opens_it_again() -> None:
    breaker = Breaker("rest", volume=1, reset_seconds=0.05)
    _fail(breaker)
    until(lambda: breaker.state is BreakerState.HALF_OPEN)
    _fail(breaker)
    assert _state(breaker) is BreakerState.OPEN
    until(lambda: breaker.state is BreakerState.HALF_OPEN)
    _succeed(breaker)

    assert _state(breaker) is BreakerState.CLOSED


def test_an_answer_that_is_no_outage_counts_as_success() -> None:
    breaker = Breaker("answers", volume=1, reset_seconds=60)
    for _ in range(5):
        with pytest.raises(PostNotFound), breaker.guard():
            raise PostNotFound

    assert _state(breaker) is BreakerState.CLOSED


def _exported(name: str, breaker: Breaker) -> dict[str, float]:
    values = {
        "state": REGISTRY.get_sample_value("instagram_circuit_breaker_state", {"name": breaker.name}),
        **{
            event: REGISTRY.get_sample_value(
                "instagram_circuit_breaker_events_total", {"name": breaker.name, "event": event}
            )
            for event in ("success", "failure", "rejected", "open", "half_open", "close")
        },
    }
    assert None not in values.values(), name
    return {event: value or 0 for event, value in values.items()}


def test_state_and_events_are_exported() -> None:
    breaker = Breaker("exported", volume=1, reset_seconds=0.05)
    assert set(_exported("new", breaker).values()) == {0}
    _succeed(breaker)
    _fail(breaker)
    with pytest.raises(StoreUnavailable), breaker.guard():
        pytest.fail("called")
    opened = _exported("open", breaker)
    assert opened == {"state": 1, "success": 1, "failure": 1, "rejected": 1, "open": 1, "half_open": 0, "close": 0}

    until(lambda: breaker.state is BreakerState.HALF_OPEN)
    with breaker.guard():
        assert _exported("half open", breaker)["state"] == 2

    closed = _exported("closed", breaker)
    assert closed == {"state": 0, "success": 2, "failure": 1, "rejected": 1, "open": 1, "half_open": 1, "close": 1}


def test_while_half_open_other_threads_are_rejected_and_the_same_thread_may_go_on() -> None:
    breaker = Breaker("trial", volume=1, reset_seconds=0.05)
    _fail(breaker)
    until(lambda: breaker.state is BreakerState.HALF_OPEN)
    outcomes: list[str] = []

    def call() -> None:
        try:
            _succeed(breaker)
        except StoreUnavailable:
            outcomes.append("rejected")

    with breaker.guard():
        other = threading.Thread(target=call)
        other.start()
        other.join()
        assert outcomes == ["rejected"]
        _succeed(breaker)

    assert _state(breaker) is BreakerState.CLOSED


def test_a_part_that_succeeds_does_not_close_the_breaker() -> None:
    breaker = Breaker("part", volume=1, reset_seconds=0.05)
    _fail(breaker)
    until(lambda: breaker.state is BreakerState.HALF_OPEN)
    with breaker.guard(part=True):
        pass
    assert _state(breaker) is BreakerState.HALF_OPEN
    _fail(breaker)

    assert _state(breaker) is BreakerState.OPEN
