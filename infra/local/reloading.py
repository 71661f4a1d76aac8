"""Runs a host until it is asked to stop and, for development, restarts it when the code changes."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

import watchfiles

from layers.core.logging import logger

ROOT = Path(__file__).parents[2]
_WATCHED = (
    *("functions", "layers", "infra/local", "infra/chalice", "infra/environments", "infra/events"),
    *("infra/template_map.py", "template.yaml"),
)
_SUFFIXES = {".py", ".lua", ".yaml"}


def run(module: str, work: Callable[[threading.Event], object], *, reloads: bool) -> None:
    """Call `work` with an event that SIGTERM or SIGINT sets; with `reloads`, restart `module` after each change."""
    stopping, must_restart = stop_event(), threading.Event()
    if reloads:

        def restart() -> None:
            must_restart.set()
            stopping.set()

        watch(restart)
    work(stopping)
    if must_restart.is_set():
        replace_process(module)


def stop_event() -> threading.Event:
    """An event that SIGTERM or SIGINT sets, from now on."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


def replace_process(module: str) -> NoReturn:
    """Execute the module in place of this process, with the same arguments."""
    os.execv(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]])  # noqa: S606


def watch(restart: Callable[[], None]) -> None:
    """Call `restart` once, from another thread, when the code has changed and can be compiled.

    A syntax error in a function's own file affects only that function, so `restart` is called. A syntax error in a
    layer or in a host is logged, and the running code goes on.
    """
    threading.Thread(target=wait_for_change, args=[restart], daemon=True).start()


def wait_for_change(restart: Callable[[], None]) -> None:
    """As `watch`, but in this thread: returns after it has called `restart`."""
    paths = [path for name in _WATCHED if (path := ROOT / name).exists()]
    for changes in watchfiles.watch(*paths, step=50, raise_interrupt=False):
        changed = {Path(path) for _, path in changes if Path(path).suffix in _SUFFIXES}
        if changed and _can_be_compiled(changed):
            logger().info("code changed", files=sorted(str(path.relative_to(ROOT)) for path in changed))
            restart()
            return


def _can_be_compiled(changed: Iterable[Path]) -> bool:
    for path in changed:
        if path.suffix == ".py" and path.is_file() and not path.is_relative_to(ROOT / "functions"):
            try:
                compile(path.read_bytes(), path, "exec")
            except (SyntaxError, ValueError) as error:
                logger().error("code not reloaded", file=str(path.relative_to(ROOT)), reason=repr(error))
                return False
    return True
