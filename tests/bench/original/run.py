"""The load on the reference server and on ours, in turns, and the table of goals.

python -m tests.bench.original.run [--rounds 3] [--quick] [--only feed,likes] [--side ours|reference] [--keep]

Each side is started, loaded and stopped before the other one starts. The first round creates the data, unless --keep
finds those of an earlier run. Before each measurement the run waits until the machine is quiet. --quick is one round of
3 s a phase, on less data. Results are written to --output as JSON. The exit code is the number of kinds of requests
that had errors.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from infra.stack.profiles import cache
from tests.bench.original import data, table
from tests.bench.original.client import Client
from tests.bench.original.phases import PHASES, Load, Measured
from tests.bench.original.sides import Ours, Reference, Side
from tests.bench.original.wrk import Figures, Wrk

_QUIET_SECONDS: Final = 60
_SHOWN_CORES: Final = 0.01
_FOLDER: Final = Path("/var/lib/photogram/bench")


def main() -> int:
    """Run the load and print the table."""
    arguments = _parse()
    sides: dict[str, Side] = {}
    if "reference" in arguments.side:
        sides["reference"] = Reference(arguments.reference)
    if "ours" in arguments.side:
        sides["ours"] = Ours(arguments.folder)
    rounds: dict[str, list[Measured]] = {"reference": [], "ours": []}
    for number in range(arguments.rounds):
        for name, side in sides.items():
            print(f"\n== round {number + 1}, {name}", flush=True)
            rounds[name].append(_run_side(side, arguments, is_first=number == 0))
            _write(arguments.output, rounds)
    rows = table.compare(rounds["reference"], rounds["ours"])
    table.show(rows)
    for name in sides:
        table.show_memory(name, rounds[name])
    errors = {name: table.count_errors(rounds[name]) for name in sides}
    print(f"errors: {errors}\nwritten: {arguments.output}")
    return sum(map(len, errors.values()))


def _parse() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=0, help="3 by default, 1 with --quick")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", type=lambda names: names.split(","), default=list(PHASES), metavar=",".join(PHASES))
    parser.add_argument("--side", choices=["ours", "reference"], action="append")
    parser.add_argument("--keep", action="store_true", help="use the data of the last run")
    parser.add_argument("--quiet-wait", type=float, help="seconds to wait at most for a quiet machine")
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="of our side's data; user postgres must reach it")
    parser.add_argument("--reference", type=Path, default=Path(os.environ.get("REFERENCE_DIR", "/srv/reference")))
    parser.add_argument("--output", type=Path, default=cache() / "bench" / "original.json")
    arguments = parser.parse_args()
    if unknown := set(arguments.only) - set(PHASES):
        parser.error(f"no such phase: {', '.join(sorted(unknown))}")
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 3)
    arguments.side = arguments.side or ["reference", "ours"]
    if arguments.quiet_wait is None:
        arguments.quiet_wait = 0 if arguments.quick else _QUIET_SECONDS
    return arguments


def _run_side(side: Side, arguments: Any, *, is_first: bool) -> Measured:
    file = cache() / "bench" / f"{side.name}.json"
    if is_first and not arguments.keep:
        side.clean()
        file.unlink(missing_ok=True)
    side.start()
    try:
        return asyncio.run(_load(side, arguments, file))
    finally:
        side.stop()


async def _load(side: Side, arguments: Any, file: Path) -> Measured:
    known, size = data.read(file), data.QUICK if arguments.quick else data.FULL
    async with Client(side.url, side.headers) as client:
        wrk = Wrk(side.url, side.programs(), quiet_seconds=arguments.quiet_wait)
        measured: Measured = {}
        if not known.accounts:
            await _seed(client, known, size)
        elif errors := await data.sign_in(client, known):
            sys.exit(f"{errors} logins were refused: run without --keep")
        load = Load(side=side, client=client, wrk=wrk, data=known, size=size, quiet_seconds=arguments.quiet_wait)
        for name in arguments.only:
            started = time.monotonic()
            measured |= (figures := await PHASES[name](load))
            _show(name, figures, time.monotonic() - started)
            data.write(file, known)
    return measured


async def _seed(client: Client, known: data.Data, size: data.Size) -> None:
    started = time.monotonic()
    if errors := await data.seed(client, known, size):
        sys.exit(f"{errors} requests that create the data were refused")
    print(f"data created in {time.monotonic() - started:.0f} s", flush=True)


def _show(phase: str, measured: Measured, seconds: float) -> None:
    print(f"{phase}: {seconds:.0f} s", flush=True)
    for name, figures in measured.items():
        errors = f"  {figures.errors} errors" if figures.errors else ""
        print(f"  {name:<32}{_describe(figures)}{errors}", flush=True)


def _describe(figures: Figures) -> str:
    if not figures.requests:
        return f"{figures.amount:9.1f}"
    used = ", ".join(f"{program} {cores:.2f}" for program, cores in figures.cores.items() if cores >= _SHOWN_CORES)
    return (
        f"{figures.rate:9.1f}/s, p50 {figures.p50:7.2f} ms, p95 {figures.p95:7.2f} ms"
        f"{f', beside {figures.amount:.0f}' if figures.amount else ''}{f', cores: {used}' if used else ''}"
    )


def _write(output: Path, rounds: dict[str, list[Measured]]) -> None:
    rows: Sequence[table.Row] = table.compare(rounds["reference"], rounds["ours"])
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(msgspec.json.format(msgspec.json.encode({"table": rows, "rounds": rounds})))


if __name__ == "__main__":
    sys.exit(main())
