"""One environment: a process on a port of its own that takes one request at a time, as Lambda's environments do.

python -m infra.local.serve --port N [--heavy] [--reload]
"""

import argparse
import asyncio
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Protocol

from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

from infra.chalice.app import app
from infra.local import reloading
from infra.local.environment import NotLoaded
from infra.local.event import Headers, answer_of, event_of, match
from layers.core.logging import logger
from layers.core.settings import settings

_LARGE_BYTES = 1024 * 1024
_LOOK_SECONDS = 1
_GRACE_SECONDS = 1


class Scope(Protocol):
    """A request as RSGI tells of it."""

    method: str
    path: str
    query_string: str
    client: str
    http_version: str
    headers: Any


class Exchange(Protocol):
    """RSGI's way to the body, and back."""

    def __call__(self) -> Awaitable[bytes]:
        """The body."""

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer."""


class Application:
    """The RSGI application. Handlers run on the event loop's own thread: that is what makes it one at a time."""

    def __init__(self) -> None:
        self._large = asyncio.Lock()

    async def __rsgi__(self, scope: Scope, exchange: Exchange) -> None:
        """Answer one request; bodies are read side by side, but large ones one after the other."""
        headers: Headers = scope.headers.items()
        length = scope.headers.get("content-length")
        if length is None and "transfer-encoding" not in scope.headers:
            body = b""
        elif length is not None and length.isdigit() and int(length) <= _LARGE_BYTES:
            body = await exchange()
        else:
            async with self._large:
                exchange.response_bytes(*_answer(scope, headers, await exchange()))
            return
        exchange.response_bytes(*_answer(scope, headers, body))


def _answer(scope: Scope, headers: Headers, body: bytes) -> tuple[int, Headers, bytes]:
    path = scope.path
    if path == "/metrics":
        from infra.local import metrics  # noqa: PLC0415 (most environments are never asked)

        return metrics.exposed()
    found = match(path)
    event = event_of(
        method=scope.method,
        path=path,
        resource=found[0].resource if found else path,
        variables=found[1] if found else {},
        query=scope.query_string,
        headers=headers,
        body=body,
        peer=scope.client.rpartition(":")[0],
        protocol=f"HTTP/{scope.http_version}",
    )
    return answer_of(app(event, None))


def _load(*, is_heavy: bool) -> None:
    """Import the handlers of this environment's group; a broken one answers 500 and the others serve."""
    for environment in app.environments.values():
        function = environment.function
        if function.is_heavy == is_heavy and any(event["Type"] == "Api" for event in function.events.values()):
            try:
                environment.load()
            except NotLoaded as error:
                logger().error("function not loaded", function=function.name, reason=str(error))
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


async def _serve(port: int, *, is_reloading: bool) -> bool:
    """Serve until told to stop; whether to start anew."""
    server = Server(
        Application(),
        address="127.0.0.1",
        port=port,
        interface=Interfaces.RSGI,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=60_000),
        log_level=LogLevels.error,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    must_restart = threading.Event()
    if is_reloading:

        def restart() -> None:
            must_restart.set()
            loop.call_soon_threadsafe(server.stop)

        reloading.watch(restart)
    await server.serve()
    return must_restart.is_set()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--heavy", action="store_true", help="takes the functions that the template marks heavy")
    parser.add_argument("--reload", action="store_true", help="start anew when a file of the functions changes")
    given = parser.parse_args()
    if folder := settings().prometheus_multiproc_dir:
        Path(folder).mkdir(parents=True, exist_ok=True)
    app.shows_tracebacks = given.reload
    _load(is_heavy=given.heavy)
    threading.Thread(target=_watch_time, daemon=True).start()
    if asyncio.run(_serve(given.port, is_reloading=given.reload)):
        os.execv(sys.executable, [sys.executable, "-m", "infra.local.serve", *sys.argv[1:]])  # noqa: S606


if __name__ == "__main__":
    main()
