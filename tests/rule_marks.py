"""A pytest plugin: tests claim rules of the contract by `@pytest.mark.rule("R-A1")`, and their outcomes are recorded.

A rule that docs/contract/rules.md does not have is an error at collection. Outcomes are appended, one JSON object per
line, to a file of this process in the folder that `PHOTOGRAM_RULE_OUTCOMES` names; without the variable nothing is
recorded. See `tests.rules`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from tests.rules import RULES, VARIABLE, Outcome, Result, known_rules

_PROPERTY: Final = "rules"
_RANK: Final[dict[Result, int]] = {"passed": 0, "skipped": 1, "failed": 2}


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "rule(*numbers): the rules of docs/contract/rules.md that the test proves")
    if given := os.environ.get(VARIABLE):
        config.pluginmanager.register(Recorder(Path(given)), "rule-outcomes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test its rules; raises `pytest.UsageError` naming each marker that is not one or more known rules."""
    problems = [problem for item in items for problem in _problems(item)]
    if problems:
        raise pytest.UsageError("\n".join(dict.fromkeys(problems)))
    for item in items:
        item.user_properties.append((_PROPERTY, _rules(item)))


class Recorder:
    """Appends one outcome per test case."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / f"{os.getpid()}.jsonl"
        self._worst: dict[str, Result] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst outcome of the test's phases; write it when its tear-down is over."""
        worst = max(self._worst.get(report.nodeid, "passed"), report.outcome, key=_RANK.__getitem__)
        self._worst[report.nodeid] = worst
        if report.when == "teardown":
            rules = dict(report.user_properties).get(_PROPERTY)
            if isinstance(rules, list) and rules:
                self._append(Outcome(rules=rules, test=report.nodeid, result=worst))
            del self._worst[report.nodeid]

    def _append(self, outcome: Outcome) -> None:
        with self._file.open("ab") as file:
            file.write(msgspec.json.encode(outcome) + b"\n")


def _rules(item: pytest.Item) -> list[str]:
    return list(dict.fromkeys(str(number) for mark in item.iter_markers("rule") for number in mark.args))


def _problems(item: pytest.Item) -> Iterator[str]:
    test = item.nodeid.partition("[")[0]
    for mark in item.iter_markers("rule"):
        if not mark.args or mark.kwargs:
            yield f'{test}: @pytest.mark.rule takes numbers of rules, as in @pytest.mark.rule("R-A1")'
        for number in mark.args:
            if number not in known_rules():
                yield f"{test}: {RULES.name} has no rule {number!r}"
