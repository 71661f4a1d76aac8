"""Cold starts of functions as LocalStack's process executor runs them, against the start of an empty function.

python -m tests.bench.cold_start [--rounds 5] [FUNCTION ...]

An environment is started from the zip files that are deployed, and gets the function's sample event: the time until it
is ready and the time of the first answer are a cold start. LocalStack itself does not run; it adds about 10 ms. The
baseline is an environment with AWS's runtime client and a handler that returns nothing, in the same run; what a
function takes longer until it is ready is the import of its code, layers and packages. `first` contains what is loaded
at first use: a function whose event needs PostgreSQL loads its driver there. Needs the stores of the test stack.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from infra import package, template_map
from infra.invoke.events import read_event
from infra.stack import env_file, venvs
from infra.stack.profiles import profile
from infra.template_map import Function
from tests.bench.aims import Aim, report
from tests.support.stack import load_environment

_EMPTY: Final = "def handler(event, context):\n    return None\n"
_MEMORY_MB: Final = 1024
_SECONDS: Final = 30
_ARN: Final = "arn:aws:lambda:eu-central-1:000000000000:function:f"
_TRACE: Final = "Root=1-00000000-000000000000000000000000"
_COLUMNS: Final = "{:<34}{:>9}{:>10}{:>10}{:>9}  {}"

COLD: Final = Aim(name="cold start, median function / empty function", at_most=3)
AIMS: Final = (COLD,)


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds of a cold start; medians of the rounds."""

    ready: float
    first: float
    """The first answer, after the environment was ready."""
    warm: float

    @property
    def cold(self) -> float:
        """From the start of the environment to its first answer."""
        return self.ready + self.first


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="FUNCTION", help="for example posts/like_post; all by default")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    load_environment()
    functions = [each for each in template_map.functions() if each.name in (arguments.names or [each.name])]
    with tempfile.TemporaryDirectory() as folder:
        starts = Starts(Path(folder), arguments.rounds)
        _print_floors(arguments.rounds)
        floor = starts.measure_empty()
        _print_row("empty function", floor, floor)
        measured = {function.name: starts.measure(function) for function in functions}
    for name, times in sorted(measured.items(), key=lambda item: -item[1].cold):
        _print_row(name, times, floor)
    median = _median(measured.values())
    _print_row(f"median of {len(measured)}", median, floor)
    report("cold_start", {COLD: median.cold / floor.cold})


class Starts:
    """Starts environments of functions."""

    def __init__(self, folder: Path, rounds: int) -> None:
        sys.path.insert(0, str(venvs.executor()))  # a package of its own, which only LocalStack has installed
        from localstack_process_executor import environment, runtime_api, sandbox  # noqa: PLC0415

        self._environment, self._api, self._sandbox = environment, runtime_api, sandbox
        self._folder = folder
        self._rounds = rounds
        self._archives = package.write_archives(folder / "zip")
        self._runtime = sandbox.Runtime.inspect(str(venvs.RUNTIME.python))
        self._namespaces = sandbox.Sandbox.probe(folder / "state")

    def measure(self, function: Function) -> Times:
        """The cold start of a function with its sample event."""
        code = self._unzip([function.logical_id])
        layers = self._unzip([name for name, each in template_map.layer_folders().items() if each in function.layers])
        handler = f"{function.name.rpartition('/')[2]}.handler"
        return self._measure(code, layers, handler, json.dumps(read_event(None, function)).encode())

    def measure_empty(self) -> Times:
        """The cold start of a function that does nothing."""
        code = self._folder / "empty"
        code.mkdir()
        (code / "empty.py").write_text(_EMPTY)
        return self._measure(code, None, "empty.handler", b"{}")

    def _measure(self, code: Path, layers: Path | None, handler: str, event: bytes) -> Times:
        function = self._sandbox.Function(
            runtime=self._runtime,
            code=code,
            layers=layers,
            variables={**_variables(), "_HANDLER": handler},
            timeout_seconds=_SECONDS,
            memory_megabytes=_MEMORY_MB,
        )
        rounds = [self._start(function, event) for _ in range(self._rounds)]
        return _median(rounds)

    def _start(self, function: Any, event: bytes) -> Times:
        started = time.perf_counter()
        environment = self._environment.Environment(function, self._namespaces)
        try:
            environment.initialise()
            ready = time.perf_counter()
            first, warm = (self._invoke(environment, event) for _ in range(2))
        finally:
            environment.stop()
        return Times(ready=(ready - started) * 1000, first=first, warm=warm)

    def _invoke(self, environment: Any, event: bytes) -> float:
        """Milliseconds until the answer; an error of the function ends the run."""
        started = time.perf_counter()
        request = self._api.Event(request_id=str(uuid.uuid4()), function_arn=_ARN, trace_id=_TRACE, payload=event)
        result = environment.invoke(request)
        if result.is_error:
            sys.exit(f"{result.payload.decode()}\n{result.log}")
        return (time.perf_counter() - started) * 1000

    def _unzip(self, names: Sequence[str]) -> Path:
        """The folder with the contents of these archives."""
        folder = self._folder / "-".join(sorted(names))
        if not folder.exists():
            for name in names:
                with zipfile.ZipFile(self._archives[name]) as archive:
                    archive.extractall(folder)
        return folder


def _variables() -> dict[str, str]:
    """The settings of the test stack, and what Lambda sets."""
    settings = env_file.for_functions(env_file.read(profile("test")))
    return {
        **{name: value for name, value in settings.items() if name != "PROMETHEUS_MULTIPROC_DIR"},
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(_MEMORY_MB),
    }


def _median(several: Collection[Times]) -> Times:
    parts = Times.__struct_fields__
    return Times(**{part: statistics.median(getattr(times, part) for times in several) for part in parts})


def _print_floors(rounds: int) -> None:
    """Print how long Python takes to start, alone and with AWS's runtime client."""
    for what, code in (("Python", "pass"), ("Python and awslambdaric", "import awslambdaric.bootstrap")):
        times = []
        for _ in range(rounds):
            started = time.perf_counter()
            subprocess.run([str(venvs.RUNTIME.python), "-c", code], check=True)
            times.append((time.perf_counter() - started) * 1000)
        print(f"{what}: {statistics.median(times):.0f} ms")
    print(_COLUMNS.format("function", "cold ms", "ready ms", "first ms", "warm ms", "imports"))


def _print_row(name: str, times: Times, floor: Times) -> None:
    imports = max(0.0, times.ready - floor.ready)
    figures = [f"{value:.0f}" for value in (times.cold, times.ready, times.first)]
    print(_COLUMNS.format(name, *figures, f"{times.warm:.1f}", f"{imports:.0f} ms, {imports / times.cold:.0%}"))


if __name__ == "__main__":
    main()
