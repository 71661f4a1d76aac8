"""One environment: a process on a port of its own that takes one request at a time, as Lambda's environments do.

python -m infra.local.serve --port N [--heavy] [--reload]
"""

import argparse
import gc
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import MTServer

from infra.chalice.app import app
from infra.local import reloading
from infra.local.environment import NotLoaded
from infra.local.event import Headers, answer_of, event_of, match
from layers.core.logging import logger
from layers.core.settings import settings

type Environ = Mapping[str, Any]
type Start = Callable[[str, Headers], object]

_LOOK_SECONDS = 1
_GRACE_SECONDS = 1
_IDLE_MS = 75_000
"""A kept connection closes after this: later than nginx lets go of it (60 s at most), or a request meets the end."""


class _Server(MTServer):
    """granian with its worker as a thread of this very process.

    Its own way, a second process, costs 32 MB more per environment; its embedded server twice the time per request.
    """

    @staticmethod
    def _check_gil() -> None:
        """Several such threads would wait for each other; here is but one."""


def application(environ: Environ, start: Start) -> Iterable[bytes]:
    """Answer one request. Called by one thread only: that is what makes it one at a time."""
    path: str = environ["PATH_INFO"]
    if path == "/metrics":
        from infra.local import metrics  # noqa: PLC0415 (most environments are never asked)

        status, headers, body = metrics.exposed()
    else:
        found = match(path)
        event = event_of(
            method=environ["REQUEST_METHOD"],
            path=path,
            resource=found[0].resource if found else path,
            variables=found[1] if found else {},
            query=environ["QUERY_STRING"],
            headers=_headers(environ),
            body=environ["wsgi.input"].read(),
            peer=environ.get("REMOTE_ADDR", ""),
            protocol=environ["SERVER_PROTOCOL"],
        )
        status, headers, body = answer_of(app(event, None))
    start(f"{status} {HTTPStatus(status).phrase}", headers)
    return [body]


def _headers(environ: Environ) -> Headers:
    """The request's headers; repeated ones come joined by a comma, which means the same."""
    headers = [
        (name[5:].replace("_", "-").lower(), value) for name, value in environ.items() if name.startswith("HTTP_")
    ]
    headers += [
        (name.replace("_", "-").lower(), environ[name])
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH")
        if name in environ
    ]
    return headers


def _load(*, is_heavy: bool) -> None:
    """Import the handlers of this environment's group; a broken one answers 500, and the others serve."""
    for environment in app.environments.values():
        if environment.function.is_heavy == is_heavy:
            try:
                environment.load()
            except NotLoaded as error:
                logger().error("function not loaded", function=environment.function.name, reason=str(error))
    gc.collect()
    gc.freeze()  # what is loaded stays: collections need not look at it


def _watch_time() -> None:
    """End the process when a function overruns its Timeout, as Lambda does; supervisord starts another."""
    while True:
        time.sleep(_LOOK_SECONDS)
        for environment in app.environments.values():
            context = environment.context
            if context and context.is_overrun(grace_seconds=_GRACE_SECONDS):
                logger().error("timed out", function=environment.function.name)
                os._exit(1)


def main() -> None:
    """Serve until SIGTERM; the request in work is finished."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--heavy", action="store_true", help="takes the functions that the template marks heavy")
    parser.add_argument("--reload", action="store_true", help="start anew when a file of the functions changes")
    given = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("HTTP_")]:
        del os.environ[name]  # WSGI mixes the process's variables with the request's headers
    if folder := settings().prometheus_multiproc_dir:
        Path(folder).mkdir(parents=True, exist_ok=True)
    app.shows_tracebacks = given.reload
    _load(is_heavy=given.heavy)
    threading.Thread(target=_watch_time, daemon=True).start()
    server = _Server(
        "",
        address="127.0.0.1",
        port=given.port,
        interface=Interfaces.WSGI,
        blocking_threads=1,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=_IDLE_MS),
        log_level=LogLevels.error,
    )
    must_restart = threading.Event()
    if given.reload:

        def restart() -> None:
            must_restart.set()
            server.signal_handler_interrupt()  # type: ignore[no-untyped-call]

        reloading.watch(restart)
    server.serve(target_loader=lambda: application, wrap_loader=False)
    if must_restart.is_set():
        reloading.start_anew("infra.local.serve")


if __name__ == "__main__":
    main()
