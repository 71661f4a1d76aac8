"""Circuit breakers."""

import pytest

from layers.core.breaker import Breaker, State
from layers.core.errors import PostNotFound, StoreUnavailable
from tests.support.waiting import until


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
    assert breaker.state is State.CLOSED
    _fail(breaker)

    assert breaker.state is State.OPEN


def test_while_open_nothing_is_called_and_the_answer_says_when_to_come_back() -> None:
    breaker = Breaker("open", volume=1, reset_seconds=60)
    _fail(breaker)

    with pytest.raises(StoreUnavailable) as refused, breaker.guard():
        pytest.fail("called")
    assert 55 <= refused.value.retry_after <= 60


def test_after_its_rest_one_success_closes_it_and_one_failure_opens_it_again() -> None:
    breaker = Breaker("rest", volume=1, reset_seconds=0.05)
    _fail(breaker)
    until(lambda: breaker.state is State.HALF_OPEN)
    _fail(breaker)
    assert breaker.state is State.OPEN
    until(lambda: breaker.state is State.HALF_OPEN)
    _succeed(breaker)

    assert breaker.state is State.CLOSED


def test_an_answer_that_is_no_outage_counts_as_success() -> None:
    breaker = Breaker("answers", volume=1, reset_seconds=60)
    for _ in range(5):
        with pytest.raises(PostNotFound), breaker.guard():
            raise PostNotFound

    assert breaker.state is State.CLOSED
