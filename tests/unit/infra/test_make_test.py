"""How `make test` counts the outcomes of its suites."""

import sys
from collections import Counter
from pathlib import Path

from infra.stack.test import run_suite, summarize

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


def _run(folder: Path, source: str) -> tuple[bool, Counter[str]]:
    (folder / "test_sample.py").write_text(source)
    counts: Counter[str] = Counter()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", str(folder)]
    return run_suite(command, counts), counts


def test_errors_and_expected_failures_count_as_failures(tmp_path: Path) -> None:
    succeeded, counts = _run(tmp_path, OUTCOMES)

    assert not succeeded
    assert summarize(counts) == "2 passed, 4 failed, 1 skipped"


def test_a_suite_of_passing_tests_succeeds(tmp_path: Path) -> None:
    assert _run(tmp_path, "def test_passes(): pass\n") == (True, Counter(passed=1))


def test_an_unexpected_pass_fails_the_suite_though_pytest_accepts_it(tmp_path: Path) -> None:
    source = "import pytest\n@pytest.mark.xfail(strict=False)\ndef test_passes(): pass\n"

    assert _run(tmp_path, source) == (False, Counter(xpassed=1))


def test_printed_text_that_looks_like_a_summary_is_not_counted(tmp_path: Path) -> None:
    _, counts = _run(tmp_path, "def test_prints():\n    print('7 passed in 1.00s')\n    assert False\n")

    assert summarize(counts) == "0 passed, 1 failed, 0 skipped"


def test_the_counts_of_several_suites_are_added() -> None:
    counts = Counter({"passed": 2, "skipped": 1}) + Counter({"passed": 3, "error": 1})

    assert summarize(counts) == "5 passed, 1 failed, 1 skipped"
