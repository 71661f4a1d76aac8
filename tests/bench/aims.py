"""The aims of benchmarks, and the table of those that were met and missed."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

RESULTS_VARIABLE: Final = "BENCH_RESULTS"
"""The environment variable with the file in which `python -m tests.bench` collects the results of all benchmarks."""

_COLUMNS: Final = "{:<19} {:<58} {:>9} {:>14}  {}"


class Aim(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a figure that a benchmark measures; None is no bound."""

    name: str
    """What is measured, with its baseline."""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def bounds(self) -> str:
        """The bounds in words: `at least 2`, `at most 3`, `0.9 to 1.1`."""
        if self.at_least is None:
            return f"at most {self.at_most:g}"
        if self.at_most is None:
            return f"at least {self.at_least:g}"
        return f"{self.at_least:g} to {self.at_most:g}"

    def is_met_by(self, measured: float) -> bool:
        """Whether the figure is within the bounds."""
        is_low_enough = self.at_most is None or measured <= self.at_most
        return is_low_enough and (self.at_least is None or measured >= self.at_least)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A figure that was measured; None if the benchmark failed before."""

    benchmark: str
    aim: Aim
    measured: float | None

    @property
    def outcome(self) -> str:
        """`met`, `missed` or `not measured`."""
        if self.measured is None:
            return "not measured"
        return "met" if self.aim.is_met_by(self.measured) else "missed"


def report(benchmark: str, measured: Mapping[Aim, float]) -> None:
    """Print the table of one benchmark, and add its results to those of `python -m tests.bench`."""
    results = [Result(benchmark=benchmark, aim=aim, measured=figure) for aim, figure in measured.items()]
    print_table(results)
    if file := os.environ.get(RESULTS_VARIABLE):
        with Path(file).open("ab") as lines:
            lines.writelines(msgspec.json.encode(result) + b"\n" for result in results)


def read_results(file: Path) -> list[Result]:
    """The results that the benchmarks of a run have added to the file."""
    return msgspec.json.Decoder(Result).decode_lines(file.read_bytes())


def print_table(results: Sequence[Result]) -> None:
    """Print a line for each aim, with the figure, the bounds and the outcome; then the number of each outcome."""
    print(f"\n{_COLUMNS.format('benchmark', 'aim', 'measured', 'bounds', 'outcome')}")
    for result in results:
        figure = "-" if result.measured is None else f"{result.measured:.3g}"
        print(_COLUMNS.format(result.benchmark, result.aim.name, figure, result.aim.bounds, result.outcome))
    outcomes = [result.outcome for result in results]
    numbers = [f"{outcomes.count(each)} {each}" for each in ("met", "missed", "not measured") if each in outcomes]
    print(f"aims: {', '.join(numbers)}")
