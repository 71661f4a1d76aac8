"""How `make test` counts the outcomes of its suites."""

import sys
from pathlib import Path

import pytest

from infra.stack.test import Report

OUTCOMES = """
import pytest

def test_passes(): pass
def test_also_passes(): pass
def test_fails(): assert False
@pytest.mark.skip(reason="to be counted")
def test_is_skipped(): pass
@pytest.mark.xfail
def test_fails_as_expected(): assert False
@pytest.mark.xfail
def test_passes_unexpectedly(): pass
@pytest.fixture
def broken(): raise RuntimeError
def test_has_an_error(broken): pass
"""


@pytest.fixture(autouse=True)
def without_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed plugins would take most of the time of these tests."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def _run(folder: Path, source: str) -> Report:
    (folder / "test_sample.py").write_text(source)
    report = Report()
    report.run_suite(
        [sys.executable, "-m", "pytest", "-q", "-rfEsxX", "-p", "no:cacheprovider", "-c", "/dev/null", str(folder)]
    )
    return report


def test_errors_and_expected_failures_count_as_failures(tmp_path: Path) -> None:
    assert _run(tmp_path, OUTCOMES).summary() == "2 passed, 4 failed, 1 skipped"


def test_every_test_that_did_not_pass_is_named_at_the_end(tmp_path: Path) -> None:
    problems = _run(tmp_path, OUTCOMES).problems

    assert sorted(problem.split()[0] for problem in problems) == ["ERROR", "FAILED", "SKIPPED", "XFAIL", "XPASS"]
    assert any("test_fails - assert False" in problem for problem in problems)


def test_a_suite_of_passing_tests_has_no_problems(tmp_path: Path) -> None:
    report = _run(tmp_path, "def test_passes(): pass\n")

    assert (report.problems, report.counts) == ([], {"passed": 1})


def test_an_unexpected_pass_is_a_problem_though_pytest_accepts_it(tmp_path: Path) -> None:
    report = _run(tmp_path, "import pytest\n@pytest.mark.xfail(strict=False)\ndef test_passes(): pass\n")

    assert len(report.problems) == 1


def test_a_suite_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    assert _run(tmp_path, "import no_such_module\n").problems
    assert _run(tmp_path, "").problems  # no test was found


def test_printed_text_that_looks_like_a_summary_is_not_counted(tmp_path: Path) -> None:
    report = _run(
        tmp_path, "def test_prints():\n    print('7 passed in 1.00s')\n    print('FAILED x')\n    assert False\n"
    )

    assert report.summary() == "0 passed, 1 failed, 0 skipped"
    assert len(report.problems) == 1


def test_a_failed_command_is_a_problem_and_fails_the_run() -> None:
    report = Report()

    assert not report.check(["sh", "-c", "exit 3"])
    with report.background(["false"]):
        pass
    assert report.problems == ["exit status 3: sh -c 'exit 3'", "exit status 1: false"]


def test_the_counts_of_several_suites_are_added(tmp_path: Path) -> None:
    report = Report()
    for name in ("first", "second"):
        (tmp_path / f"test_{name}.py").write_text("def test_passes(): pass\n")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null"]
        report.run_suite([*command, str(tmp_path / f"test_{name}.py")])

    assert report.summary() == "2 passed, 0 failed, 0 skipped"
