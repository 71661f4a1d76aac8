"""Which tests proved which rule of the HTTP contract, from what ran.

python -m tests.rules clear   forget the recorded outcomes; before a complete run
python -m tests.rules check   fail if a rule has no passing test in the recorded run, or if the page is out of date
python -m tests.rules write   write docs/contract/coverage.md from the recorded run (`make rules`)

The plugin `tests.rule_marks` records outcomes while the environment variable `PHOTOGRAM_RULE_OUTCOMES` names a folder.
The commands read the folder that the variable names, or else `rule-outcomes` in the test stack's state folder.
"""

import functools
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from infra.stack.profiles import CLONE, profile

VARIABLE: Final = "PHOTOGRAM_RULE_OUTCOMES"
CONTRACT: Final = CLONE / "docs" / "contract"
RULES: Final = CONTRACT / "rules.md"

PAGE: Final = "coverage.md"
"""The page's name, beside the rules."""

_HEADING: Final = re.compile(r"#{2,} (?P<title>.+)")
_BULLET: Final = re.compile(r"- \*\*(?P<number>R-[A-Z]+\d+)\*\* ")

type Result = Literal["passed", "failed", "skipped"]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of the contract."""

    number: str
    section: str
    """The heading that it stands below."""
    text: str
    """Its Markdown as it stands in the contract, the bullet's number included."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How one test case ended."""

    rules: list[str]
    test: str
    """pytest's node id: file relative to the repository, function and parameters."""
    result: Result
    """`passed` only if set-up, call and tear-down passed."""


class MalformedContract(Exception):
    """The contract's list of rules cannot be read."""


def read_rules(path: Path) -> dict[str, Rule]:
    """The rules of a contract by number, in its order; raises `MalformedContract` if there is none or one stands twice.

    A rule is a bullet `- **R-A1** text`, which goes on over the indented lines below it.
    """
    rules: dict[str, Rule] = {}
    for rule in _bullets(path.read_text()):
        if rule.number in rules:
            raise MalformedContract(f"{rule.number} stands twice in {path}")
        rules[rule.number] = rule
    if not rules:
        raise MalformedContract(f"{path} has no bullet of the form `- **R-A1** text`")
    return rules


@functools.cache
def known_rules() -> dict[str, Rule]:
    """The rules of this repository's contract."""
    return read_rules(RULES)


def folder() -> Path:
    """Where outcomes are recorded and read; it need not exist."""
    given = os.environ.get(VARIABLE)
    return Path(given) if given else profile("test").state / "rule-outcomes"


def read_outcomes(recorded: Path) -> list[Outcome]:
    """Every outcome that any process recorded in this folder, in no particular order."""
    decoder = msgspec.json.Decoder(Outcome)
    return [outcome for file in recorded.glob("*.jsonl") for outcome in decoder.decode_lines(file.read_bytes())]


def find_proofs(outcomes: Iterable[Outcome]) -> dict[str, list[str]]:
    """The test functions (`file::name`) that prove each rule, sorted.

    A function proves its rules if it ran and each of its cases passed in each process that ran it.
    """
    results: dict[str, set[Result]] = {}
    claims: dict[str, set[str]] = {}
    for outcome in outcomes:
        function = outcome.test.partition("[")[0]
        results.setdefault(function, set()).add(outcome.result)
        for rule in outcome.rules:
            claims.setdefault(rule, set()).add(function)
    return {
        rule: sorted(function for function in functions if results[function] == {"passed"})
        for rule, functions in claims.items()
    }


def build_page(rules: dict[str, Rule], proofs: dict[str, list[str]]) -> str:
    """The page: each rule in full, and the test functions that proved it."""
    lines = [
        "# Which test proves which rule",
        "",
        "The rules of [rules.md](rules.md), each with the tests that passed for it in the last complete run.",
        "`make rules` writes this page from the outcomes that `make test` recorded. A test claims a rule by",
        '`@pytest.mark.rule("R-A1")`. A skipped or failed test proves nothing.',
    ]
    section = ""
    for rule in rules.values():
        if rule.section != section:
            section = rule.section
            lines += ["", f"## {section}", ""]
        lines.append(rule.text)
        lines += [_describe(function) for function in proofs.get(rule.number, [])]
    return "\n".join(lines) + "\n"


def clear(recorded: Path) -> int:
    """Forget what was recorded; returns the exit code 0."""
    shutil.rmtree(recorded, ignore_errors=True)
    return 0


def check(recorded: Path, rules_file: Path = RULES) -> int:
    """Print each rule without a passing test, and whether the page is out of date; returns the exit code.

    The page is compared only when every rule is proved: after a failure it would name fewer tests.
    """
    rules = read_rules(rules_file)
    proofs = find_proofs(read_outcomes(recorded))
    without = [rule for rule in rules if not proofs.get(rule)]
    for rule in without:
        print(f"{rule}: no test passed for this rule")  # noqa: T201 (a command)
    if without:
        return 1
    page = rules_file.with_name(PAGE)
    if not page.exists() or page.read_text() != build_page(rules, proofs):
        print(f"{page} is out of date; `make rules` writes it")  # noqa: T201
        return 1
    print(f"{len(rules)} rules, each proved by a test")  # noqa: T201
    return 0


def write(recorded: Path, rules_file: Path = RULES) -> int:
    """Write the page beside the rules; returns the exit code, 1 if nothing was recorded."""
    outcomes = read_outcomes(recorded)
    if not outcomes:
        print(f"No outcomes are recorded in {recorded}; `make test` records them")  # noqa: T201
        return 1
    rules_file.with_name(PAGE).write_text(build_page(read_rules(rules_file), find_proofs(outcomes)))
    return 0


def _bullets(markdown: str) -> Iterator[Rule]:
    section = ""
    number = ""
    text: list[str] = []
    for line in [*markdown.splitlines(), ""]:
        if number and line.startswith("  "):
            text.append(line)
            continue
        if number:
            yield Rule(number=number, section=section, text="\n".join(text))
            number = ""
        if heading := _HEADING.fullmatch(line):
            section = heading["title"]
        elif bullet := _BULLET.match(line):
            number = bullet["number"]
            text = [line]


def _describe(function: str) -> str:
    file, _, name = function.partition("::")
    says = name.rpartition("::")[2].removeprefix("test_").replace("_", " ")
    return f"  - [{says}]({os.path.relpath(CLONE / file, CONTRACT)})"


_COMMANDS: Final[dict[str, Callable[[Path], int]]] = {"clear": clear, "check": check, "write": write}


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in _COMMANDS:
        sys.exit(__doc__)
    sys.exit(_COMMANDS[sys.argv[1]](folder()))
