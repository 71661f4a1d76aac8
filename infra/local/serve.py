"""The HTTP host: a process on its own port that handles one request at a time, as a Lambda environment does.

python -m infra.local.serve --port N [--heavy]
"""

import argparse
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from granian._granian import SocketHolder
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import MTServer

from infra.chalice.app import app
from infra.environments import handlers, shared_memory
from infra.environments.handlers import HandlerNotLoaded
from infra.events import recorded
from infra.events.rest import Event, Headers, Resource, build_event, decode_reply, find_resource
from infra.local.listeners import BACKLOG
from layers.core import shutdown
from layers.core.logging import logger
from layers.core.settings import settings
from layers.entrypoints import gateway
from layers.entrypoints.response import Reply

type Environ = Mapping[str, Any]
type StartResponse = Callable[[str, Headers], object]

_UPLOAD_ADMISSION = "/upload-admission"
"""The path that nginx asks for before it reads the body of an upload; it is not reachable from outside."""

_CHECK_SECONDS = 1
_GRACE_SECONDS = 1
_IDLE_MS = 75_000
"""A kept-alive connection closes after this time: later than nginx closes it (60 s at most), so that nginx never sends
a request on a connection that is being closed."""


class _Server(MTServer):
    """granian with its worker as a thread of this process, on a socket that is open already.

    A worker process, granian's default, needs 32 MB more; its embedded server takes twice the time per request.
    """

    def __init__(self, listener: socket.socket, *, connections: int) -> None:
        self._listener = listener
        listener.setblocking(False)
        super().__init__(
            "",
            interface=Interfaces.WSGI,
            blocking_threads=1,
            backpressure=connections,
            websockets=False,
            http1_settings=HTTP1Settings(header_read_timeout=_IDLE_MS),
            log_level=LogLevels.error,
        )

    def _init_shared_socket(self) -> None:
        is_unix = self._listener.family == socket.AF_UNIX
        holder: Any = SocketHolder  # granian's annotations lack its constructor
        self._ssp, self._shd = None, holder(os.dup(self._listener.fileno()), is_unix, BACKLOG)

    def signal_handler_interrupt(self, *args: object, **kwargs: object) -> None:
        """Stop, as on SIGTERM: no request is accepted any more, and the running ones are finished."""
        shutdown.begin()
        super().signal_handler_interrupt(*args, **kwargs)  # type: ignore[no-untyped-call]

    @staticmethod
    def _check_gil() -> None:
        """Skip granian's refusal to run worker threads under the GIL: there is only one."""


def application(environ: Environ, start: StartResponse) -> Iterable[bytes]:
    """Answer one request (PEP 3333). Only one thread calls this, so that requests are handled one at a time."""
    path: str = environ["PATH_INFO"]
    if path == "/metrics":
        from infra.local import metrics  # noqa: PLC0415 (most processes never serve it)

        status, headers, body = metrics.response()
    else:
        resource, variables = find_resource(path) or (None, {})
        event = build_event(
            method=environ["REQUEST_METHOD"],
            path=path,
            resource=resource.path if resource else path,
            variables=variables,
            query=environ["QUERY_STRING"],
            headers=_headers(environ),
            body=environ["wsgi.input"].read(),
            peer=environ.get("REMOTE_ADDR", ""),
            protocol=environ["SERVER_PROTOCOL"],
        )
        reply = _admit_upload(event) if path == _UPLOAD_ADMISSION else _answer(event, resource)
        status, headers, body = decode_reply(reply)
    start(f"{status} {HTTPStatus(status).phrase}", headers)
    return [body]


def _answer(event: Event, resource: Resource | None) -> Reply:
    """The application's reply; the invocation is recorded if the request has a function."""
    started = time.perf_counter()
    reply = app(event, None)
    if resource and (route := resource.routes.get(event["httpMethod"])):
        recorded.record(route.function.name, "http", event, reply, seconds=time.perf_counter() - started)
    return reply


def _admit_upload(event: Event) -> Reply:
    """The admission as nginx can read it: a refusal is 401, its own status and problem document are in headers."""
    reply = gateway.admit_upload(event)
    if reply["statusCode"] != HTTPStatus.OK:
        reply["headers"] |= {"x-status": str(reply["statusCode"]), "x-problem": reply["body"]}
        reply["statusCode"] = HTTPStatus.UNAUTHORIZED.value
    return reply


def _headers(environ: Environ) -> Headers:
    """The request's headers; granian joins repeated ones with a comma, which is equivalent (RFC 9110, 5.3)."""
    headers = [
        (name[5:].replace("_", "-").lower(), value) for name, value in environ.items() if name.startswith("HTTP_")
    ]
    headers += [
        (name.replace("_", "-").lower(), environ[name])
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH")
        if name in environ
    ]
    return headers


def load(*, is_heavy: bool | None) -> None:
    """Import the light or the heavy handlers again, or with None both, to be shared with forked processes.

    A broken one answers 500 and does not affect the others.
    """
    for environment in app.environments.values():
        if is_heavy in (None, environment.function.is_heavy):
            environment.unload()
            try:
                environment.load()
            except HandlerNotLoaded as error:
                logger().error("handler cannot be imported", function=environment.function.name, reason=str(error))
            handlers.load_drivers(environment.function.layers)
    shared_memory.share_with_forks()


def _watch(give_sign: Callable[[], None]) -> None:
    """End the process when a function exceeds its timeout, as Lambda does; its parent starts another one."""
    while True:
        give_sign()
        time.sleep(_CHECK_SECONDS)
        for environment in app.environments.values():
            context = environment.context
            if context and context.has_timed_out(grace_seconds=_GRACE_SECONDS):
                logger().error("timed out", function=environment.function.name)
                os._exit(1)


def prepare(*, is_heavy: bool | None, shows_tracebacks: bool) -> None:
    """Import the light or the heavy handlers, or with None both, before the first request."""
    for name in [name for name in os.environ if name.startswith("HTTP_")]:
        del os.environ[name]  # granian passes the environment variables to WSGI, where HTTP_* are headers
    if folder := settings().prometheus_multiproc_dir:
        Path(folder).mkdir(parents=True, exist_ok=True)
    app.shows_tracebacks = shows_tracebacks
    load(is_heavy=is_heavy)


def make_server(listener: socket.socket, *, connections: int = BACKLOG) -> _Server:
    """The server of one environment; `run_server` serves. Further `connections` wait in the socket's queue."""
    return _Server(listener, connections=connections)


def run_server(server: _Server, give_sign: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM; a running request is finished first. `give_sign` is called every second."""
    threading.Thread(target=_watch, args=[give_sign], daemon=True).start()
    server.serve(target_loader=lambda: application, wrap_loader=False)
    recorded.write_now()


def main() -> None:
    """Serve until SIGTERM; a running request is finished first."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.serve", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--heavy", action="store_true", help="import the functions that the template marks heavy, not the others"
    )
    arguments = parser.parse_args()
    prepare(is_heavy=arguments.heavy, shows_tracebacks=False)
    run_server(make_server(socket.create_server(("127.0.0.1", arguments.port), backlog=BACKLOG)))


if __name__ == "__main__":
    main()
