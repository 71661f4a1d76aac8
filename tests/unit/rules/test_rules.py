"""How tests claim rules of the contract, and what counts as a proof."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from infra.stack.profiles import CLONE
from tests import rules
from tests.rules import Outcome, Result

CONTRACT = """
# Rules

### Sessions
- **R-A1** A cookie is set.
  It lasts 24 h.
- **R-A2** A session slides.

A paragraph that is no rule.

### Feed
- **R-F1** Each row once.
"""


OUTCOMES = """
pytestmark = pytest.mark.rule("R-A1", "R-A2")

@pytest.mark.parametrize("case", [1])
def test_passes(case):
    pass

def test_fails():
    raise OSError

def test_skips():
    pytest.skip()

@pytest.mark.xfail
def test_fails_as_expected():
    raise OSError

def test_fails_in_set_up(broken_before):
    pass

def test_fails_in_tear_down(broken_after):
    pass

@pytest.fixture
def broken_before():
    raise OSError

@pytest.fixture
def broken_after():
    yield
    raise OSError
"""
"""One test of each outcome."""


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    """A contract of three rules."""
    path = tmp_path / "rules.md"
    path.write_text(CONTRACT)
    return path


def run_pytest(folder: Path, test: str, outcomes: Path | None = None) -> subprocess.CompletedProcess[str]:
    """One pytest process with the plugin, over one file with this text."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_one.py").write_text(f"import pytest\n\n\n{test}")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.rule_marks", "-p", "no:cacheprovider", "-c", "pytest.ini"],
        cwd=folder,
        env={"PYTHONPATH": str(CLONE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        | ({rules.VARIABLE: str(outcomes)} if outcomes else {}),
        capture_output=True,
        text=True,
        check=False,
    )


def outcome(test: str, result: Result, *numbers: str) -> Outcome:
    """A recorded outcome."""
    return Outcome(rules=list(numbers) or ["R-A1"], test=test, result=result)


def test_a_rule_has_its_section_and_its_text_over_several_lines(contract: Path) -> None:
    read = rules.read_rules(contract)
    assert list(read) == ["R-A1", "R-A2", "R-F1"]
    assert read["R-A1"].text == "- **R-A1** A cookie is set.\n  It lasts 24 h."
    assert [rule.section for rule in read.values()] == ["Sessions", "Sessions", "Feed"]


def test_a_number_that_stands_twice_is_an_error(contract: Path) -> None:
    contract.write_text(CONTRACT + "- **R-A1** Another.\n")
    with pytest.raises(rules.MalformedContract, match="R-A1"):
        rules.read_rules(contract)


def test_a_contract_without_rules_is_an_error(contract: Path) -> None:
    contract.write_text("# Rules\n")
    with pytest.raises(rules.MalformedContract):
        rules.read_rules(contract)


def test_a_claim_of_no_known_rule_is_an_error_at_collection(tmp_path: Path) -> None:
    claims = {"unknown": '("R-A1", "R-A99")', "malformed": '("R_A1")', "empty": "()", "named": '(number="R-A1")'}
    tests = [f"@pytest.mark.rule{claim}\ndef test_{name}():\n    pass\n" for name, claim in claims.items()]
    ran = run_pytest(tmp_path, "\n".join(tests))
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    for message in (
        "test_one.py::test_unknown: rules.md has no rule 'R-A99'",
        "test_one.py::test_malformed: rules.md has no rule 'R_A1'",
        "test_one.py::test_empty: @pytest.mark.rule takes numbers",
        "test_one.py::test_named: @pytest.mark.rule takes numbers",
    ):
        assert message in ran.stderr


def test_the_outcome_of_each_test_is_recorded(tmp_path: Path) -> None:
    ran = run_pytest(tmp_path, OUTCOMES, tmp_path / "recorded")
    recorded = rules.read_outcomes(tmp_path / "recorded")
    assert {outcome.test: outcome.result for outcome in recorded} == {
        "test_one.py::test_passes[1]": "passed",
        "test_one.py::test_fails": "failed",
        "test_one.py::test_skips": "skipped",
        "test_one.py::test_fails_as_expected": "skipped",
        "test_one.py::test_fails_in_set_up": "failed",
        "test_one.py::test_fails_in_tear_down": "failed",
    }, ran.stdout
    assert all(outcome.rules == ["R-A1", "R-A2"] for outcome in recorded)


def test_several_processes_add_to_one_record(tmp_path: Path) -> None:
    for _ in range(2):
        run_pytest(tmp_path, '@pytest.mark.rule("R-A1")\ndef test_it():\n    pass\n', tmp_path / "recorded")
    assert len(rules.read_outcomes(tmp_path / "recorded")) == 2


def test_a_function_proves_a_rule_only_if_all_its_cases_passed_wherever_it_ran() -> None:
    proofs = rules.find_proofs(
        [
            outcome("a.py::test_passed[1]", "passed", "R-A1", "R-A2"),
            outcome("a.py::test_passed[2]", "passed", "R-A1", "R-A2"),
            outcome("a.py::test_one_case_skipped[1]", "passed"),
            outcome("a.py::test_one_case_skipped[2]", "skipped"),
            outcome("a.py::test_failed_elsewhere", "passed"),
            outcome("a.py::test_failed_elsewhere", "failed"),
            outcome("b.py::test_skipped", "skipped", "R-F1"),
        ]
    )
    assert proofs == {"R-A1": ["a.py::test_passed"], "R-A2": ["a.py::test_passed"], "R-F1": []}


def test_the_page_quotes_each_rule_and_links_its_tests(contract: Path) -> None:
    proofs = {"R-F1": ["tests/unit/core/test_pages.py::test_pages_are_full"]}
    page = rules.build_page(rules.read_rules(contract), proofs)
    assert "## Sessions\n\n- **R-A1** A cookie is set.\n  It lasts 24 h.\n- **R-A2**" in page
    assert "- **R-F1** Each row once.\n  - [pages are full](../../tests/unit/core/test_pages.py)\n" in page


def test_check_names_each_rule_without_a_passing_test(
    contract: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = record(tmp_path, outcome("a.py::test_it", "passed", "R-A1"), outcome("a.py::test_f", "failed", "R-F1"))
    assert rules.check(recorded, contract) == 1
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == ["R-A2", "R-F1"]


def test_check_fails_while_the_page_is_not_what_ran(contract: Path, tmp_path: Path) -> None:
    recorded = record(tmp_path, outcome("a.py::test_it", "passed", "R-A1", "R-A2", "R-F1"))
    page = contract.with_name(rules.PAGE)
    assert rules.check(recorded, contract) == 1
    assert rules.write(recorded, contract) == 0
    assert rules.check(recorded, contract) == 0
    page.write_text(page.read_text() + "more\n")
    assert rules.check(recorded, contract) == 1


def test_the_page_is_not_written_from_nothing(contract: Path, tmp_path: Path) -> None:
    recorded = record(tmp_path)
    assert rules.write(recorded, contract) == 1
    assert not contract.with_name(rules.PAGE).exists()


def test_clear_forgets_what_was_recorded(tmp_path: Path) -> None:
    recorded = record(tmp_path, outcome("a.py::test_it", "passed"))
    assert rules.clear(recorded) == 0
    assert rules.read_outcomes(recorded) == []


def record(folder: Path, *outcomes: Outcome) -> Path:
    """Write outcomes as a pytest process does; returns their folder."""
    recorded = folder / "recorded"
    recorded.mkdir()
    (recorded / "1.jsonl").write_bytes(b"".join(msgspec.json.encode(outcome) + b"\n" for outcome in outcomes))
    return recorded
