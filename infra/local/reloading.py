"""How a host runs until it is told to stop and, for development, starts anew when a file was edited."""

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
_WATCHED = ("functions", "layers", "infra/local", "infra/chalice", "infra/template_map.py", "template.yaml")
_SUFFIXES = {".py", ".lua", ".yaml"}


def run(module: str, work: Callable[[threading.Event], object], *, is_reloading: bool) -> None:
    """Let a host work until SIGTERM or SIGINT sets the event; when reloading, start it anew after each edit."""
    stopping, must_restart = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    if is_reloading:

        def restart() -> None:
            must_restart.set()
            stopping.set()

        watch(restart)
    work(stopping)
    if must_restart.is_set():
        start_anew(module)


def start_anew(module: str) -> NoReturn:
    """Replace this process by the module's, with the arguments that it has."""
    os.execv(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]])  # noqa: S606


def watch(restart: Callable[[], None]) -> None:
    """Call `restart` once, from another thread, when the code has changed and can be read.

    A syntax error in a function's own file is that function's matter. One that all would meet (a layer, a host) is
    logged, and the code that runs goes on.
    """
    threading.Thread(target=_watch, args=[restart], daemon=True).start()


def _watch(restart: Callable[[], None]) -> None:
    paths = [path for name in _WATCHED if (path := ROOT / name).exists()]
    for changes in watchfiles.watch(*paths, step=50, raise_interrupt=False):
        changed = {Path(path) for _, path in changes if Path(path).suffix in _SUFFIXES}
        if changed and _can_be_read(changed):
            logger().info("code changed", files=sorted(str(path.relative_to(ROOT)) for path in changed))
            restart()
            return


def _can_be_read(changed: Iterable[Path]) -> bool:
    for path in changed:
        if path.suffix == ".py" and path.is_file() and not path.is_relative_to(ROOT / "functions"):
            try:
                compile(path.read_bytes(), path, "exec")
            except (SyntaxError, ValueError) as error:
                logger().error("code not read", file=str(path.relative_to(ROOT)), reason=repr(error))
                return False
    return True
