"""`make test`: starts the test stack, runs the checks and all test suites, times each part, and stops the stack.

python -m infra.stack.test

The last line of the output is `N passed, N failed, N skipped`. A skipped test fails the run.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from infra.stack import venvs
from infra.stack.profiles import CLONE, profile

_SUMMARY = re.compile(r" in \d+\.\d+s( \(.+\))?( =+)?$")
_COUNT = re.compile(r"(\d+) (passed|failed|error|skipped|xfailed|xpassed)s?\b")
_FAILURES = ("failed", "error", "xfailed", "xpassed")
_STACK = [sys.executable, "-m", "infra.stack"]
_MIGRATE = [sys.executable, "-m", "infra.stack.with_settings", "--profile", "test", "--admin", "infra.migrate"]
_PYTEST = [sys.executable, "-m", "pytest", "-rsxX"]
_LOCALSTACK = [sys.executable, "-m", "infra.localstack", "up", "--profile", "test"]
_HISTORY = [sys.executable, "-m", "infra.stack.with_settings", "--profile", "test", "--admin", "tests.history"]
_RULES = [sys.executable, "-m", "tests.rules"]
_EXECUTOR = [
    *("env", f"PYTHONPATH={venvs.executor()}"),
    f"PROCESS_EXECUTOR_RUNTIMES=python3.13={venvs.RUNTIME.python}",
    *(str(venvs.LOCALSTACK.python), "-m", "pytest", "-rsxX", "infra/localstack/process_executor"),
]
_WITHOUT_STORES = ("architecture", "unit")
_WITHOUT_HOSTS = ("integration",)
"""Suites that run before the function hosts start, because the queue consumer would receive their messages."""


def main() -> int:
    """0 if every check passed, and every test passed and none was skipped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for name in ("PHOTOGRAM_BACKUP", "PHOTOGRAM_STORES_TLS"):
        os.environ.pop(name, None)  # they are meant for the stack of `make run`
    seconds: dict[str, float] = {}
    counts: Counter[str] = Counter()
    succeeded = _run([*_RULES, "clear"])
    os.environ["PHOTOGRAM_RULE_OUTCOMES"] = str(profile("test").state / "rule-outcomes")  # recorded by every suite
    try:
        _run([*_STACK, "down", "--profile", "test"])  # function hosts of an earlier start would receive tests' messages
        with (
            _timed("lint, architecture and unit tests, while the stores start", seconds),
            _background(["make", "lint"]) as lint,
        ):
            has_stores = _run([*_STACK, "up", "--profile", "test", "--only", "stores"]) and _run(_MIGRATE)
            succeeded &= has_stores
            succeeded &= run_suite([*_PYTEST, *(f"tests/{name}" for name in _WITHOUT_STORES)], counts)
            succeeded &= not lint.wait()
        if has_stores:
            with _timed("integration tests", seconds):
                succeeded &= run_suite([*_PYTEST, *(f"tests/{name}" for name in _WITHOUT_HOSTS)], counts)
            with _timed("starting the function hosts", seconds):
                has_hosts = _run([*_STACK, "up", "--profile", "test"])
                succeeded &= has_hosts
            if has_hosts:
                with _timed("e2e tests and journeys", seconds):
                    succeeded &= run_suite([*_PYTEST, "tests/e2e", "tests/journeys"], counts)
                with _timed("history checker, a short run", seconds):
                    succeeded &= _run([*_HISTORY, "--faults", "14", "--actions", "500"])
            with _timed("drills, on stacks of their own", seconds):
                succeeded &= run_suite([*_PYTEST, "tests/drill"], counts)
            with (
                _timed("deploying to LocalStack, and the process executor's tests", seconds),
                _background(_LOCALSTACK) as deploying,
            ):
                succeeded &= run_suite(_EXECUTOR, counts)
                is_deployed = not deploying.wait()
                succeeded &= is_deployed
            if is_deployed:
                with _timed("journeys and other tests in LocalStack", seconds):
                    suites = ["--host", "localstack", "tests/journeys", "tests/localstack"]
                    succeeded &= run_suite([*_PYTEST, *suites], counts)
            with _timed("the rules of the contract that the tests proved", seconds):
                succeeded &= _run([*_RULES, "check"])
    finally:
        with _timed("stopping the stack", seconds):
            _run([*_STACK, "down", "--profile", "test"])
    print()
    for name, spent in {**seconds, "total": sum(seconds.values())}.items():
        print(f"{name:<65}{spent:6.1f} s")
    if not succeeded:
        print("A check, a test or a part of the stack failed: see above")
    if counts["skipped"]:
        print("Tests were skipped, which fails the run: their reasons are above")
    print(summarize(counts))
    return 0 if succeeded and not counts["skipped"] else 1


def run_suite(command: Sequence[str], counts: Counter[str]) -> bool:
    """Run one pytest process, show its output, and add its outcomes to `counts`; whether all tests passed.

    An expected failure (xfailed, xpassed) is not a pass.
    """
    summary = ""
    with subprocess.Popen(command, cwd=CLONE, stdout=subprocess.PIPE, text=True) as pytest:
        for line in pytest.stdout or ():
            print(line, end="", flush=True)
            summary = line if _SUMMARY.search(line.rstrip()) else summary
    outcomes = Counter({outcome: int(number) for number, outcome in _COUNT.findall(summary)})
    counts.update(outcomes)
    return not pytest.returncode and not any(outcomes[outcome] for outcome in _FAILURES)


def summarize(counts: Counter[str]) -> str:
    """The last line of the output."""
    failed = sum(counts[outcome] for outcome in _FAILURES)
    return f"{counts['passed']} passed, {failed} failed, {counts['skipped']} skipped"


def _run(command: list[str]) -> bool:
    return not subprocess.run(command, cwd=CLONE, check=False).returncode


@contextlib.contextmanager
def _background(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command during the context; it is terminated if it still runs at the end."""
    with subprocess.Popen(command, cwd=CLONE) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextlib.contextmanager
def _timed(name: str, seconds: dict[str, float]) -> Iterator[None]:
    print(f"\n== {name}", flush=True)
    started = time.monotonic()
    try:
        yield
    finally:
        seconds[name] = time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
