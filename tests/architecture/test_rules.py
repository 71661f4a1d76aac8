"""Every rule of the contract has a test that names it."""

import pytest

from tests.rules import PAGE, RULES, namings, page

KNOWN = [rule for rules in RULES.values() for rule in rules]


@pytest.mark.parametrize("rule", KNOWN)
def test_every_rule_is_named_by_a_test(rule: str) -> None:
    assert namings().get(rule), f"no test's name holds {rule.lower().replace('-', '_')}"


def test_no_test_names_a_rule_that_does_not_exist() -> None:
    assert set(namings()) <= set(KNOWN)


def test_the_page_is_what_the_tests_say() -> None:
    assert PAGE.read_text() == page(), "make rules writes it anew"
