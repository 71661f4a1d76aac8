"""The API's hosts: processes that serve one socket each.

python -m infra.local.serve_all --logs FOLDER [--readers SOCKET…] [--writers SOCKET…] [--heavy SOCKET…]
                                [--live SOCKET] [--reload] [--check]

`reader-1.sock` is served by the host `reader-1`, which writes the log `FOLDER/reader-1.log`. This process opens the
sockets and keeps them: while a host is replaced, requests wait in its socket's queue. SIGHUP replaces the hosts by
those of the current code, without refusing a request. If this code cannot be imported, the running one goes on; --check
only imports it.
"""

import argparse
import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from infra.local import listeners, reloading
from infra.local.generations import Work
from infra.local.process_lock import ProcessLock

_KINDS: Final = {"readers": "that read", "writers": "that write", "heavy": "of heavy functions"}


def main() -> None:
    """Serve until SIGTERM; running requests are finished first."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.local.serve_all",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--logs", type=Path, required=True, help="the folder of the log files")
    for kind, work in _KINDS.items():
        parser.add_argument(f"--{kind}", type=Path, nargs="*", default=[], help=f"sockets of hosts for requests {work}")
    parser.add_argument("--live", type=Path, nargs="*", default=[], help="the socket of the host of live connections")
    parser.add_argument("--reload", action="store_true", help="replace the hosts when the code changes")
    parser.add_argument("--check", action="store_true", help="import the code, and serve nothing")
    arguments = parser.parse_args()
    if arguments.check:
        _check()
        return
    paths: dict[str, list[Path]] = {kind: getattr(arguments, kind) for kind in (*_KINDS, "live")}
    sockets = {kind: {path: listeners.open_unix(path) for path in paths[kind]} for kind in paths}
    # The setting is read here without `layers.core.settings`, which this process would keep.
    port = urlsplit(os.environ.get("LIVE_ENDPOINT_URL", "")).port
    management = listeners.open_tcp(port or 0) if arguments.live else None
    live_lock = ProcessLock()

    def import_code() -> Work:
        from infra.local import api_hosts, serve  # noqa: PLC0415 (each process of the newest code imports it)

        serve.prepare(is_heavy=None, shows_tracebacks=arguments.reload)
        return lambda is_ready: api_hosts.run(
            sockets,
            management=management,
            live_lock=live_lock,
            logs=arguments.logs,
            reloads=arguments.reload,
            is_ready=is_ready,
        )

    def answer_error(error: str) -> None:
        from infra.local import broken_code  # noqa: PLC0415 (only for development)

        broken_code.serve([listener for opened in sockets.values() for listener in opened.values()], error)

    reloading.run(import_code, reloads=arguments.reload, answer_error=answer_error)


def _check() -> None:
    from infra.local import metrics, serve  # noqa: PLC0415

    serve.prepare(is_heavy=None, shows_tracebacks=False)
    metrics.delete_own_files()


if __name__ == "__main__":
    main()
