"""Runs wrk with prepared requests, on a core of its own."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from tests.bench.original.machine import CpuMeter, Programs, wait_until_quiet

_SCRIPT: Final = Path(__file__).with_name("replay.lua")
_CORE: Final = "1"
"""Each side shares this core with the load: two cores are all there is."""
_TIMEOUT: Final = "30s"
_FINISH_SECONDS: Final = 60
_LONGEST_SECONDS: Final = 120
_NOISY_CORES: Final = 0.3
_TRIES: Final = 3


class Figures(msgspec.Struct, kw_only=True):
    """What was measured of one kind of request; times are milliseconds."""

    requests: int = 0
    errors: int = 0
    rate: float = 0
    """Requests per second."""
    p50: float = 0
    p95: float = 0
    p99: float = 0
    amount: float = 0
    """Megabytes, kilobytes, or a number of requests beside these."""
    cores: dict[str, float] = {}
    """Processor time in cores: of each program of the side, of the load and of other processes."""


def summarize(milliseconds: Sequence[float], *, seconds: float, errors: int) -> Figures:
    """The figures of requests that this process sent."""
    cuts = statistics.quantiles(milliseconds, n=100, method="inclusive") if len(milliseconds) > 1 else [0.0] * 99
    return Figures(
        requests=len(milliseconds),
        errors=errors,
        rate=len(milliseconds) / seconds,
        p50=cuts[49],
        p95=cuts[94],
        p99=cuts[98],
    )


class Wrk:
    """Runs wrk against one side."""

    def __init__(self, url: str, programs: Programs, *, quiet_seconds: float) -> None:
        self._url = url
        self._programs = programs
        self._quiet_seconds = quiet_seconds

    async def repeat(self, lines: Sequence[str], *, connections: int, seconds: int) -> Figures:
        """The requests again and again, for so many seconds; reads are measured again if the machine was busy."""
        tries = _TRIES if self._quiet_seconds and all(line.startswith("GET") for line in lines) else 1
        for _ in range(tries):
            figures = await self._measure(lines, connections=connections, seconds=seconds)
            if figures.cores["other"] <= _NOISY_CORES:
                break
        return figures

    async def once(self, lines: Sequence[str], *, connections: int) -> Figures:
        """Each request once."""
        return await self._measure(lines, connections=connections, seconds=_LONGEST_SECONDS, ONCE="1")

    @contextlib.asynccontextmanager
    async def probe(self, lines: Sequence[str], *, pause_ms: int) -> AsyncIterator[list[Figures]]:
        """One connection that sends the requests in turn while the context runs; its figures, in the end."""
        found: list[Figures] = []
        with _file(lines) as name:
            wrk = await self._start(name, connections=1, seconds=_LONGEST_SECONDS, pinned=False, PAUSE_MS=str(pause_ms))
            try:
                yield found
            finally:
                if wrk.returncode is None:
                    wrk.send_signal(signal.SIGINT)
                found.append(await _result(wrk))

    async def _measure(self, lines: Sequence[str], *, connections: int, seconds: int, **variables: str) -> Figures:
        if self._quiet_seconds:
            await asyncio.to_thread(wait_until_quiet, self._quiet_seconds)
        with _file(lines) as name, CpuMeter(self._programs) as meter:
            wrk = await self._start(name, connections=connections, seconds=seconds, pinned=True, **variables)
            figures = await asyncio.wait_for(_result(wrk), seconds + _FINISH_SECONDS)
        figures.cores = meter.cores
        return figures

    async def _start(
        self, file: str, *, connections: int, seconds: int, pinned: bool, **variables: str
    ) -> asyncio.subprocess.Process:
        program = shutil.which("wrk") or sys.exit("wrk is missing (Debian package wrk)")
        core = ["taskset", "-c", _CORE] if pinned else []
        command = [*core, program, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", _TIMEOUT]
        return await asyncio.create_subprocess_exec(
            *(*command, "-s", str(_SCRIPT), self._url),
            env={**os.environ, **variables, "REQUESTS": file, "CONNECTIONS": str(connections)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )


@contextlib.contextmanager
def _file(lines: Sequence[str]) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".requests") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        yield file.name


async def _result(wrk: asyncio.subprocess.Process) -> Figures:
    output = (await wrk.communicate())[0].decode()
    for line in output.splitlines():
        if line.startswith("RESULT "):
            return msgspec.convert(json.loads(line.removeprefix("RESULT ")), Figures)
    sys.exit(f"wrk failed:\n{output}")
