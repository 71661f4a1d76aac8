"""`make test`: starts the test stack, runs the checks and all test suites, times each part, and stops the stack.

python -m infra.stack.test

At the end stand the seconds of each part, every failed or skipped test, and the parts that failed.
The last line of the output is `N passed, N failed, N skipped`. A skipped test fails the run.
"""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from types import MappingProxyType

from infra.stack import options, venvs
from infra.stack.profiles import CLONE, profile

_SUMMARY = re.compile(r" in \d+\.\d+s( \(.+\))?( =+)?$")
_SUMMARIES = re.compile(r"^=+ short test summary info =+$", re.MULTILINE)
_NAMED = re.compile(r"(FAILED|ERROR|SKIPPED|XFAIL|XPASS) ")
_COUNT = re.compile(r"(\d+) (passed|failed|error|skipped|xfailed|xpassed)s?\b")
_FAILURES = ("failed", "error", "xfailed", "xpassed")
_STACK = [sys.executable, "-m", "infra.stack"]
_MIGRATE = [sys.executable, "-m", "infra.stack.with_settings", "--profile", "test", "--admin", "infra.migrate"]
_PYTEST = [sys.executable, "-m", "pytest", "-rfEsxX", "--durations=15", "--durations-min=5"]
_LOCALSTACK = [sys.executable, "-m", "infra.localstack", "up", "--profile", "test"]
_HISTORY = [sys.executable, "-m", "infra.stack.with_settings", "--profile", "test", "--admin", "tests.history"]
_RULES = [sys.executable, "-m", "tests.rules"]
_EXECUTOR = [
    *("env", f"PYTHONPATH={venvs.executor()}"),
    f"PROCESS_EXECUTOR_RUNTIMES=python3.13={venvs.RUNTIME.python}",
    *(str(venvs.LOCALSTACK.python), "-m", "pytest", "-rfEsxX", "infra/localstack/process_executor"),
]
_WITHOUT_STORES = ("tests/architecture", "tests/unit")
_SECOND_HALF = tuple(f"tests/integration/{name}" for name in ("hosts", "infra", "layers", "stack"))
"""The integration tests that run with stores of their own, at the same time as the others: both wait most of the time.

All run before the function hosts start, because the queue consumer would receive their messages.
"""
_FURTHER = 4000
"""How far the ports of the second stack are from those of the first; those of drills are between them."""


@dataclass(frozen=True)
class Suite:
    """What one pytest process has printed."""

    output: str
    status: int

    def counts(self) -> Counter[str]:
        """How many tests had each of pytest's outcomes."""
        summaries = [line for line in self.output.splitlines() if _SUMMARY.search(line)]
        return Counter({outcome: int(number) for line in summaries[-1:] for number, outcome in _COUNT.findall(line)})

    def problems(self) -> list[str]:
        """Pytest's line about each test that did not pass."""
        *_, summary = _SUMMARIES.split(self.output)
        return [line for line in summary.splitlines() if _NAMED.match(line)]


@dataclass
class Report:
    """What a run of `make test` has found so far."""

    seconds: dict[str, float] = field(default_factory=dict)
    """How long each part took."""
    counts: Counter[str] = field(default_factory=Counter)
    """How many tests had each of pytest's outcomes."""
    problems: list[str] = field(default_factory=list)
    """pytest's line about each test that did not pass, and each other command that failed."""

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Print the name, and measure the seconds of the context."""
        print(f"\n== {name}", flush=True)
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = time.monotonic() - started

    @contextlib.contextmanager
    def background(self, command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
        """Run a command during the context, and wait for its end; it is terminated if the context fails."""
        with subprocess.Popen(command, cwd=CLONE) as process:
            try:
                yield process
                self._note(command, process.wait())
            finally:
                process.terminate()

    def check(self, command: Sequence[str]) -> bool:
        """Run a command, and note if it failed; whether it succeeded."""
        return self._note(command, subprocess.run(command, cwd=CLONE, check=False).returncode)

    def run_suite(self, command: Sequence[str]) -> None:
        """Run one pytest process, show its output while it runs, and note its outcomes."""
        self.add(command, _run_pytest(command, show=lambda line: print(line, end="", flush=True)))

    def add(self, command: Sequence[str], suite: Suite) -> None:
        """Note the outcomes of a suite. An expected failure (xfailed, xpassed) is not a pass."""
        self.counts.update(suite.counts())
        self.problems += (problems := suite.problems())
        if not problems:
            self._note(command, suite.status)

    def _note(self, command: Sequence[str], status: int) -> bool:
        if status:
            self.problems.append(f"exit status {status}: {shlex.join(command)}")
        return not status

    def summary(self) -> str:
        """The last line of the output."""
        failed = sum(self.counts[outcome] for outcome in _FAILURES)
        return f"{self.counts['passed']} passed, {failed} failed, {self.counts['skipped']} skipped"


def _run_pytest(
    command: Sequence[str], *, show: Callable[[str], object] = len, variables: Mapping[str, str] = MappingProxyType({})
) -> Suite:
    """Run one pytest process, with these environment variables too; `show` is called with each line it prints."""
    lines = []
    width = {"COLUMNS": "200"}  # pytest cuts the reason of a failure at the terminal's width
    environment = {**os.environ, **width, **variables}
    with subprocess.Popen(
        command, cwd=CLONE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pytest:
        for line in pytest.stdout or ():
            lines.append(line)
            show(line)
    return Suite("".join(lines), pytest.returncode)


def _run_on_second_stack(command: Sequence[str]) -> Suite:
    """Run pytest with the stores of another test stack, which is started for it, and deleted at the end."""
    stack = profile("test")
    variables = {
        "PHOTOGRAM_STATE": str(stack.state.parent / f"second-{stack.state.name}"),
        "PHOTOGRAM_PORT": str(options.number("PHOTOGRAM_PORT", is_test=True) + _FURTHER),
        "PHOTOGRAM_STORE_PORTS": str(options.number("PHOTOGRAM_STORE_PORTS", is_test=True) + _FURTHER),
    }
    environment = {**os.environ, **variables}
    output = ""
    try:
        for prepare in ([*_STACK, "up", "--profile", "test", "--only", "stores"], _MIGRATE):
            done = subprocess.run(
                prepare,
                cwd=CLONE,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            output += done.stdout
            if done.returncode:
                return Suite(output, done.returncode)
        return _run_pytest(command, variables=variables)
    finally:
        subprocess.run([*_STACK, "clean", "--yes", "--profile", "test"], cwd=CLONE, env=environment, check=False)


def main() -> int:
    """0 if every check passed, and every test passed and none was skipped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for option in options.OPTIONS.values():
        if not option.is_for_every_stack:
            os.environ.pop(option.name, None)  # it is meant for the stack of `make run`
    report = Report()
    report.check([*_RULES, "clear"])
    os.environ["PHOTOGRAM_RULE_OUTCOMES"] = str(profile("test").state / "rule-outcomes")  # recorded by every suite
    try:
        _run_parts(report)
    finally:
        with report.part("stopping the stack"):
            report.check([*_STACK, "down", "--profile", "test"])
    print()
    for name, spent in {**report.seconds, "total": sum(report.seconds.values())}.items():
        print(f"{name:<65}{spent:6.1f} s")
    for problem in report.problems:
        print(problem)
    print(report.summary())
    return 1 if report.problems else 0


def _run_parts(report: Report) -> None:
    # The function hosts of an earlier start would receive the messages of the tests.
    report.check([*_STACK, "down", "--profile", "test"])
    with (
        report.part("lint, architecture and unit tests, while the stores start"),
        report.background(["make", "lint"]),
    ):
        has_stores = report.check([*_STACK, "up", "--profile", "test", "--only", "stores"]) and report.check(_MIGRATE)
        report.run_suite([*_PYTEST, *_WITHOUT_STORES])
    if not has_stores:
        return
    with report.part("integration tests in two halves, and drills, each on stacks of their own"):
        first = [*_PYTEST, "tests/integration", *(f"--ignore={folder}" for folder in _SECOND_HALF)]
        second = [*_PYTEST, *_SECOND_HALF]
        drills = [*_PYTEST, "tests/drill"]
        with ThreadPoolExecutor() as beside:
            others = {beside.submit(_run_on_second_stack, second): second, beside.submit(_run_pytest, drills): drills}
            report.run_suite(first)
            for finished in as_completed(others):
                print(finished.result().output, end="", flush=True)
                report.add(others[finished], finished.result())
    with report.part("starting the function hosts"):
        has_hosts = report.check([*_STACK, "up", "--profile", "test"])
    if has_hosts:
        with report.part("e2e tests and journeys"):
            report.run_suite([*_PYTEST, "tests/e2e", "tests/journeys"])
        with report.part("history checker, a short run"):
            report.check([*_HISTORY, "--faults", "14", "--actions", "500"])
    with (
        report.part("deploying to LocalStack, and the process executor's tests"),
        report.background(_LOCALSTACK) as deploying,
    ):
        report.run_suite(_EXECUTOR)
    if not deploying.returncode:
        with report.part("journeys and other tests in LocalStack"):
            report.run_suite([*_PYTEST, "--host", "localstack", "tests/journeys", "tests/localstack"])
    with report.part("the rules of the contract that the tests proved"):
        report.check([*_RULES, "check"])


if __name__ == "__main__":
    sys.exit(main())
