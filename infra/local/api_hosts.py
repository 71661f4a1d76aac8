"""The hosts of the API, forked from one process that has imported the handlers.

Each host is a process with a socket of its own, and writes its own log. They share the memory of what was imported
before (copy on write): one more costs a third of one that is started by itself.
"""

import functools
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from infra.local import live, log_file, serve
from infra.local.forked_hosts import ForkedHosts, Work
from infra.local.process_lock import ProcessLock

type Serve = Callable[[socket.socket, Callable[[], None]], object]
"""Serves what connects to a socket, and calls its second argument at least every second."""

_NICENESS_OF_HEAVY: Final = 10
"""Hashing passwords and receiving uploads leave the CPU to everything else."""
_PAUSE_SECONDS: Final = 0.02
_SECONDS_APART: Final = 0.4
"""Between the ends of two replaced hosts. nginx takes a host for down for 1 s after it has lost two connections."""
_SECONDS_APART_RELOADING: Final = 0.05
"""The same for one developer, who waits for the new code."""


def run(
    sockets: Mapping[str, Mapping[Path, socket.socket]],
    *,
    management: socket.socket | None,
    live_lock: ProcessLock,
    logs: Path,
    reloads: bool,
    is_ready: Callable[[], None],
) -> None:
    """Serve the sockets of each kind (readers, writers, heavy, live) until SIGTERM; requests are finished first.

    Functions reach live connections at `management`. Their host serves when it has `live_lock`. With `reloads`, the
    handlers are imported again.
    """
    if reloads:
        serve.load(is_heavy=None)
    kinds: dict[str, Serve] = {"readers": _serve_reads, "writers": _serve_writes, "heavy": _serve_heavy}
    if management:
        kinds["live"] = functools.partial(_serve_live, live_lock, management)
    works: dict[str, Work] = {
        path.stem: functools.partial(_serve, logs / f"{path.stem}.log", kinds[kind], listener)
        for kind, listeners in sockets.items()
        for path, listener in listeners.items()
    }
    seconds_apart = _SECONDS_APART_RELOADING if reloads else _SECONDS_APART
    ForkedHosts(works, is_ready=is_ready, seconds_apart=seconds_apart).run()


def _serve(log: Path, serve_socket: Serve, listener: socket.socket, give_sign: Callable[[], None]) -> None:
    log_file.open_log(log)
    serve_socket(listener, give_sign)


def _serve_reads(listener: socket.socket, give_sign: Callable[[], None]) -> None:
    serve.run_server(serve.make_server(listener), give_sign)


def _serve_writes(listener: socket.socket, give_sign: Callable[[], None]) -> None:
    """A host that is killed loses only the request that it handles: the others wait in the socket, not in the host."""
    serve.run_server(serve.make_server(listener, connections=1), give_sign)


def _serve_heavy(listener: socket.socket, give_sign: Callable[[], None]) -> None:
    os.nice(_NICENESS_OF_HEAVY)
    _serve_writes(listener, give_sign)


def _serve_live(
    lock: ProcessLock, management: socket.socket, listener: socket.socket, give_sign: Callable[[], None]
) -> None:
    """Serve when the process before has ended: one process must know all connections."""
    while not lock.acquire():
        give_sign()
        time.sleep(_PAUSE_SECONDS)
    live.serve(management, listener, give_sign)
