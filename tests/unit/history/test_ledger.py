"""What the history checker accepts after answers that came, and after those that did not."""

import pytest

from tests.history import ledger
from tests.history.ledger import Fact


def test_an_answer_settles_a_fact() -> None:
    fact = Fact(False)
    fact.acknowledge(True)
    assert fact.is_certainly(True)
    assert not fact.may_be(False)


def test_a_request_without_an_answer_may_have_happened_or_not() -> None:
    fact = Fact("none")
    fact.doubt("following")
    assert fact.may_be("none")
    assert fact.may_be("following")
    assert not fact.may_be("requested")


def test_a_request_without_an_answer_may_still_come_after_the_next_one() -> None:
    fact = Fact(False)
    fact.doubt(True)
    fact.acknowledge(False)
    assert fact.possible == {True, False}


def test_the_earlier_attempts_of_an_answered_request_may_come_after_the_next_one() -> None:
    fact = Fact(False)
    fact.acknowledge(True, is_repeated=True)
    assert fact.is_certainly(True)
    fact.acknowledge(False)
    assert fact.possible == {True, False}


def test_an_answer_settles_a_fact_when_no_earlier_request_can_still_come(monkeypatch: pytest.MonkeyPatch) -> None:
    fact = Fact(False)
    fact.doubt(True)
    monkeypatch.setattr(ledger, "LATE_SECONDS", 0)
    fact.acknowledge(False)
    assert fact.is_certainly(False)
