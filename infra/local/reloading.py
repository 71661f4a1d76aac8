"""Runs a program that, for development, always serves the current code: after each edit, without a pause.

One process imports all code but the handlers, and stays. After the edit of a handler it forks a process that imports
the handlers again, which takes little time. After any other edit, another process imports everything. Each serves when
it is ready, and then the one before ends. No edit is lost: changes are watched from before the first import.
"""

import functools
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from infra.local.generations import Generations, Work

ROOT: Final = Path(__file__).parents[2]
_WATCHED: Final = (
    *("functions", "layers", "infra/local", "infra/chalice", "infra/environments", "infra/events"),
    *("infra/template_map.py", "template.yaml"),
)
_SUFFIXES: Final = {".py", ".lua", ".yaml"}
HANDLERS: Final = ROOT / "functions"
_ALL_CHANGED: Final = signal.SIGHUP
_HANDLERS_CHANGED: Final = signal.SIGUSR1
_STEP_MS: Final = 20
"""So long without a further change ends a group of changes."""
_TIMEOUT_MS: Final = 1000


def run(
    import_code: Callable[[], Work],
    *,
    reloads: bool,
    answer_error: Callable[[str], object] | None = None,
) -> None:
    """Serve until SIGTERM with what `import_code` returns; with `reloads`, always with the current code.

    `import_code` imports everything. What it returns imports the handlers again in a process of its own. If the code
    cannot be imported after an edit, `answer_error` serves the traceback; without it, the code of before serves. This
    process must have no threads, and keeps the modules of the project that it has imported.
    """

    def serve(is_ready: Callable[[], None]) -> None:
        try:
            work = import_code()
        except Exception:
            if not (reloads and answer_error):
                raise
            print(error := traceback.format_exc(), flush=True)
            is_ready()
            answer_error(error)
            return
        if reloads:
            serve_handlers = functools.partial(_with_new_handlers, work)
            Generations(serve_handlers, replace_on=_HANDLERS_CHANGED, is_ready=is_ready).run()
        else:
            work(is_ready)

    forwarded = (_HANDLERS_CHANGED,) if reloads else ()
    beside = functools.partial(_watch, os.getpid()) if reloads else None
    Generations(serve, replace_on=_ALL_CHANGED, forwarded=forwarded, beside=beside).run()


def _with_new_handlers(work: Work, is_ready: Callable[[], None]) -> None:
    """Do the work without the handlers' modules in memory, so that it imports the files."""
    for name in [name for name in sys.modules if name.startswith(f"{HANDLERS.name}.")]:
        del sys.modules[name]
    work(is_ready)


def stop_event() -> threading.Event:
    """An event that SIGTERM or SIGINT sets, from now on."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


def _watch(program: int, is_ready: Callable[[], None]) -> None:
    """Send the program a signal after each group of changes, until SIGTERM."""
    import watchfiles  # noqa: PLC0415 (only for development)

    paths = [path for name in _WATCHED if (path := ROOT / name).exists()]
    watched = watchfiles.watch(
        *paths, step=_STEP_MS, yield_on_timeout=True, rust_timeout=_TIMEOUT_MS, raise_interrupt=False
    )
    for number, changes in enumerate(watched):
        if number == 0:
            print("the code is watched", flush=True)
            is_ready()
        changed = {path for _, name in changes if (path := Path(name)).suffix in _SUFFIXES}
        if changed:
            print(f"changed: {', '.join(sorted(str(path.relative_to(ROOT)) for path in changed))}", flush=True)
            os.kill(program, _HANDLERS_CHANGED if _are_handlers(changed) else _ALL_CHANGED)


def _are_handlers(paths: Iterable[Path]) -> bool:
    return all(path.is_relative_to(HANDLERS) and path.suffix == ".py" for path in paths)
