"""The hosts of the API, each with its own port and process, forked from one that has imported the handlers.

python -m infra.local.serve_all --logs FOLDER [--light 23100-23102,23130] [--heavy 23150] [--live 23190] [--reload]

`--light` and `--heavy` are ports of HTTP hosts, `--live` is the port of live connections. The processes share the
memory of what was imported before (copy on write): one more costs a third of one that is started by itself, and a
process that ends is replaced within milliseconds. Each writes its own log, such as `FOLDER/light-23100.log`.
"""

import argparse
import contextlib
import ctypes
import functools
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from infra.local import live, log_file, reloading, serve
from layers.core.logging import logger

_MIN_SECONDS: Final = 1
"""A process that ends sooner than this is replaced only after this time."""

_PR_SET_PDEATHSIG: Final = 1
_NICENESS_OF_HEAVY: Final = 10
"""Hashing passwords and receiving uploads leave the CPU to everything else."""


class Family:
    """The processes: one of each name runs, until `stop`."""

    def __init__(self, works: dict[str, Callable[[], object]]) -> None:
        self._works = works
        self._running: dict[int, tuple[str, float]] = {}
        self._is_stopping = False

    def run(self) -> None:
        """Start all processes, and replace each that ends; returns when all have ended after `stop`."""
        for name in self._works:
            self._start(name)
        while self._running:
            pid, status = os.wait()
            name, started = self._running.pop(pid)
            if not self._is_stopping:
                logger().error("process ended", host=name, exit_code=os.waitstatus_to_exitcode(status))
                time.sleep(max(0, started + _MIN_SECONDS - time.monotonic()))
                self._start(name)

    def stop(self) -> None:
        """Ask all processes to end, from now on."""
        self._is_stopping = True
        for pid in list(self._running):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def _start(self, name: str) -> None:
        if self._is_stopping:
            return
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _run_child(parent, self._works[name])
        self._running[pid] = name, time.monotonic()
        if self._is_stopping:  # the signal came while this process was forked
            self.stop()


def _run_child(parent: int, work: Callable[[], object]) -> NoReturn:
    """Run `work` in this process, which was forked just now, and end it."""
    exit_code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # a parent that is killed leaves no process behind
        if os.getppid() == parent:
            work()
            exit_code = 0
    except BaseException:  # noqa: BLE001 (nothing may leave a forked process but its exit)
        logger().exception("process failed")
    finally:
        sys.stdout.flush()
        os._exit(exit_code)


def main() -> None:
    """Serve until SIGTERM; running requests are finished first."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.serve_all", description=__doc__)
    parser.add_argument("--logs", type=Path, required=True, help="the folder of the log files")
    parser.add_argument("--light", type=_ports, default=[], metavar="PORTS")
    parser.add_argument("--heavy", type=_ports, default=[], metavar="PORTS", help="run at lower priority")
    parser.add_argument("--live", type=_ports, default=[], metavar="PORT")
    parser.add_argument("--reload", action="store_true", help="restart when the code changes")
    arguments = parser.parse_args()
    serve.prepare(is_heavy=None, shows_tracebacks=arguments.reload)
    kinds = {"light": _serve_light, "heavy": _serve_heavy, "live": live.serve}
    works: dict[str, Callable[[], object]] = {
        f"{kind}-{port}": functools.partial(_serve, arguments.logs / f"{kind}-{port}.log", serve_port, port)
        for kind, serve_port in kinds.items()
        for port in getattr(arguments, kind)
    }
    must_restart = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        family.stop()

    def restart(_number: int, _frame: FrameType | None) -> None:
        nonlocal must_restart
        must_restart = True
        family.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if arguments.reload:
        signal.signal(signal.SIGHUP, restart)
        works["watch"] = lambda: reloading.wait_for_change(lambda: os.kill(os.getppid(), signal.SIGHUP))
    family = Family(works)
    family.run()
    if must_restart:
        reloading.replace_process("infra.local.serve_all")


def _serve(log: Path, serve_port: Callable[[int], object], port: int) -> None:
    log_file.open_log(log)
    serve_port(port)


def _serve_light(port: int) -> None:
    serve.run_server(serve.make_server(port))


def _serve_heavy(port: int) -> None:
    os.nice(_NICENESS_OF_HEAVY)
    _serve_light(port)


def _ports(text: str) -> list[int]:
    """The ports of `1-3,7`."""
    ports: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        ports += range(int(first), int(last or first) + 1)
    return ports


if __name__ == "__main__":
    main()
