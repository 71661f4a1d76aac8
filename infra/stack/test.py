"""`make test`: a stack of its own, the checks and every suite, each timed; the stack is stopped whatever happens.

python -m infra.stack.test
"""

import contextlib
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator

from infra.localstack import environments
from infra.stack.profiles import CLONE

_COUNT = re.compile(r"(\d+) (passed|failed|error)s?\b")
_STACK = [sys.executable, "-m", "infra.stack"]
_MIGRATE = [sys.executable, "-m", "infra.stack.with_settings", "--profile", "test", "infra.migrate"]
_PYTEST = [sys.executable, "-m", "pytest"]
_LOCALSTACK = [sys.executable, "-m", "infra.localstack", "up", "--profile", "test"]
_EXECUTOR = [
    *("env", f"PYTHONPATH={environments.executor()}"),
    f"PROCESS_EXECUTOR_RUNTIMES=python3.13={environments.RUNTIME.python}",
    *(str(environments.LOCALSTACK.python), "-m", "pytest", "infra/localstack/process_executor"),
]
_WITHOUT_HOSTS = ("architecture", "unit", "integration")
"""Suites whose messages the hosts' consumer would take."""


def main() -> int:
    """0 if every check and every test passed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seconds: dict[str, float] = {}
    counts: Counter[str] = Counter()
    is_well = True
    try:
        _run([*_STACK, "down", "--profile", "test"])  # of one started by hand the consumer would take messages of tests
        with _timed("lint, while the stores start", seconds), _output(["make", "lint"]) as lint:
            has_stores = _run([*_STACK, "up", "--profile", "test", "--only", "stores"]) and _run(_MIGRATE)
            is_well &= has_stores and not lint.wait()
        if has_stores:
            with _timed("architecture, unit and integration tests", seconds):
                is_well &= _suite([*_PYTEST, *(f"tests/{name}" for name in _WITHOUT_HOSTS)], counts)
            with _timed("function hosts", seconds):
                has_hosts = _run([*_STACK, "up", "--profile", "test"])
                is_well &= has_hosts
            if has_hosts:
                with _timed("e2e tests and journeys", seconds):
                    is_well &= _suite([*_PYTEST, "tests/e2e", "tests/journeys"], counts)
            with _timed("LocalStack, deployed", seconds):
                has_lambdas = _run(_LOCALSTACK)
                is_well &= has_lambdas
            if has_lambdas:
                with _timed("the same journeys, and more, in LocalStack", seconds):
                    is_well &= _suite([*_PYTEST, "--host", "localstack", "tests/journeys", "tests/localstack"], counts)
            with _timed("the process executor's own tests", seconds):
                is_well &= _suite(_EXECUTOR, counts)
    finally:
        with _timed("stopping", seconds):
            _run([*_STACK, "down", "--profile", "test"])
    print()
    for name, spent in seconds.items():
        print(f"{name:<45}{spent:6.1f} s")
    failed = counts["failed"] + counts["error"]
    if not is_well and not failed:
        print("A check or a part of the stack failed; see above")
    print(f"{counts['passed']} passed, {failed} failed in {sum(seconds.values()):.1f}s")
    return 0 if is_well else 1


def _suite(command: list[str], counts: Counter[str]) -> bool:
    """Run one pytest process, its output shown as it comes; whether all passed."""
    last = ""
    with subprocess.Popen(command, cwd=CLONE, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout or ():
            print(line, end="", flush=True)
            last = line if _COUNT.search(line) else last
    for number, outcome in _COUNT.findall(last):
        counts[outcome] += int(number)
    return not running.returncode


def _run(command: list[str]) -> bool:
    return not subprocess.run(command, cwd=CLONE, check=False).returncode


@contextlib.contextmanager
def _output(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A command beside the others; ended if they fail before it."""
    with subprocess.Popen(command, cwd=CLONE) as running:
        try:
            yield running
        finally:
            running.terminate()


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
