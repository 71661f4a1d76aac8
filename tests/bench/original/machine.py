"""What processes use of the machine, and waiting until nobody else uses it."""

import os
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

_IDLE_PERCENT: Final = 12
_LOOK_SECONDS: Final = 0.7
_MEGABYTE: Final = 1 << 20

type Programs = Mapping[str, Sequence[int]]
"""The ids of the processes of each program. Their descendants belong to it too, but for those of another program."""


def wait_until_quiet(seconds: float) -> bool:
    """Wait, at most so long, until the machine is idle; whether it is."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        if psutil.cpu_percent(_LOOK_SECONDS) < _IDLE_PERCENT:
            return True
    return False


def proportional_megabytes(programs: Programs) -> dict[str, float]:
    """The memory of each program; of pages that processes share, each process has its part (pss)."""
    return {name: sum(map(_pss, ids)) / _MEGABYTE for name, ids in _with_descendants(programs).items()}


class CpuMeter:
    """Processor time that programs and the whole machine use in a context, in cores."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self.cores: dict[str, float] = {}
        """Of each program, of this process with its ended children (`load`), and of all others (`other`)."""

    def __enter__(self) -> Self:
        self._started, self._machine, self._used = time.monotonic(), _busy_seconds(), self._read()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        wall = time.monotonic() - self._started
        used = self._read()
        self.cores = {name: (used[name] - self._used[name]) / wall for name in used}
        self.cores["other"] = max(0.0, (_busy_seconds() - self._machine) / wall - sum(self.cores.values()))

    def _read(self) -> dict[str, float]:
        used = {name: sum(map(_cpu_seconds, ids)) for name, ids in _with_descendants(self._programs).items()}
        return used | {"load": sum(os.times()[:4])}


def _with_descendants(programs: Programs) -> Programs:
    started = {number for ids in programs.values() for number in ids}
    return {name: [each for number in ids for each in _family(number, started)] for name, ids in programs.items()}


def _family(number: int, started: Collection[int]) -> list[int]:
    """A process and its descendants, without those that were started as programs."""
    try:
        children = [child.pid for child in psutil.Process(number).children()]
    except psutil.NoSuchProcess:
        return []
    return [number, *(each for child in children if child not in started for each in _family(child, started))]


def _pss(number: int) -> int:
    """Bytes; 0 if the process has ended."""
    try:
        lines = Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _cpu_seconds(number: int) -> float:
    try:
        return float(sum(psutil.Process(number).cpu_times()[:4]))
    except psutil.NoSuchProcess:
        return 0


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)
