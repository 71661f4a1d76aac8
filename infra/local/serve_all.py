"""The hosts of the API, forked from one process that has imported the handlers and holds their sockets.

python -m infra.local.serve_all --logs FOLDER [--readers SOCKET…] [--writers SOCKET…] [--heavy SOCKET…]
                                [--live SOCKET] [--reload] [--check]

Each host is a process with a Unix socket of its own and the name of this socket: `reader-1.sock` is served by
`reader-1`, which writes the log `FOLDER/reader-1.log`. The processes share the memory of what was imported before (copy
on write): one more costs a third of one that is started by itself.

The sockets outlive the hosts. While a host is replaced, requests wait in its socket's queue. SIGHUP replaces the hosts
one after the other by those of the current code, without refusing a request. If this code cannot be imported, the
running one goes on; --check only imports it.
"""

import argparse
import functools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from infra.local import live, log_file, reloading, serve
from infra.local.forked_hosts import ForkedHosts, Work
from infra.local.listeners import Listeners
from layers.core.logging import logger
from layers.core.settings import settings

type Serve = Callable[[socket.socket, Callable[[], None]], object]
"""Serves what connects to a socket, and calls its second argument at least every second."""

_NICENESS_OF_HEAVY: Final = 10
"""Hashing passwords and receiving uploads leave the CPU to everything else."""
_WATCH: Final = "watch"
_KEPT: Final = "PHOTOGRAM_KEPT"
"""The environment variable with which this program tells itself, when it is executed again, what it had: as JSON,
`sockets` (path or port to file descriptor) and `processes` (id to name)."""


def main() -> None:
    """Serve until SIGTERM; running requests are finished first."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.local.serve_all",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--logs", type=Path, required=True, help="the folder of the log files")
    for kind, work in (("readers", "that read"), ("writers", "that write"), ("heavy", "of heavy functions")):
        parser.add_argument(f"--{kind}", type=Path, nargs="*", default=[], help=f"sockets of hosts for requests {work}")
    parser.add_argument("--live", type=Path, nargs="*", default=[], help="the socket of the host of live connections")
    parser.add_argument("--reload", action="store_true", help="replace the hosts when the code changes")
    parser.add_argument("--check", action="store_true", help="import the code, and serve nothing")
    arguments = parser.parse_args()
    kept = json.loads(os.environ.pop(_KEPT, "{}"))
    serve.prepare(is_heavy=None, shows_tracebacks=arguments.reload)
    if arguments.check:
        from infra.local import metrics  # noqa: PLC0415 (hosts that are forked need not have it)

        metrics.delete_own_files()
        return
    listeners = Listeners(kept.get("sockets", {}))
    kinds: dict[str, Serve] = {"readers": _serve_reads, "writers": _serve_writes, "heavy": _serve_heavy}
    if arguments.live:
        management = listeners.open_tcp(urlsplit(settings().live_endpoint_url).port or 0)
        kinds["live"] = functools.partial(live.serve, management)
    works: dict[str, Work] = {
        path.stem: functools.partial(
            _serve, arguments.logs / f"{path.stem}.log", serve_socket, listeners.open_unix(path)
        )
        for kind, serve_socket in kinds.items()
        for path in getattr(arguments, kind)
    }
    if arguments.reload:
        works[_WATCH] = _watch
    hosts = ForkedHosts(
        works,
        restart=functools.partial(_restart, listeners),
        predecessors={int(pid): name for pid, name in kept.get("processes", {}).items()},
        alone=[_WATCH, *(path.stem for path in arguments.live)],
    )
    hosts.run()


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


def _watch(_give_sign: Callable[[], None]) -> None:
    reloading.wait_for_change(lambda: os.kill(os.getppid(), signal.SIGHUP))


def _restart(listeners: Listeners, processes: Mapping[int, str]) -> None:
    """Execute this program again in the same process, unless its code cannot be imported."""
    command = [sys.executable, "-m", "infra.local.serve_all", *sys.argv[1:], "--check"]
    checked = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if checked.returncode:
        logger().error("code not reloaded", reason=checked.stdout)
        return
    os.environ[_KEPT] = json.dumps({"sockets": listeners.descriptors, "processes": processes})
    reloading.replace_process("infra.local.serve_all")


if __name__ == "__main__":
    main()
