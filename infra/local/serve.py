"""One environment: a granian process on a port that takes one request at a time, as Lambda's do.

python -m infra.local.serve --port N [--heavy] [--reload]
"""

import argparse
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from infra.local.event import allowed, answer_of, event_of, match, status_line
from layers.core import cors
from layers.core.errors import NotFound
from layers.core.logging import logger
from layers.core.response import problem

type StartResponse = Callable[[str, list[tuple[str, str]]], object]


class RouteNotFound(NotFound):
    """There is no such route."""


def application(environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Match the route, build the event, call the Chalice app, write its answer."""
    try:
        status, headers, body = _answered(environ)
    except Exception as error:  # noqa: BLE001 (a handler that cannot be imported, say)
        logger().exception("environment failed", path=environ["PATH_INFO"])
        status, headers, body = _problem(error, environ)
    start_response(status, headers)
    return [body]


def _answered(environ: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if path == "/metrics":
        from infra.local.metrics import exposed  # noqa: PLC0415 (most environments are never asked)

        return exposed()
    matched = match(path)
    if matched is None:
        return _problem(RouteNotFound(), environ)
    if method == "OPTIONS":
        headers = cors.preflight(environ.get("HTTP_ORIGIN"), environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS"))
        return "204 No Content", list(headers.items()), b""
    called = "GET" if method == "HEAD" else method
    if called not in matched.methods:
        status, headers_, body = _problem(RouteNotFound(), environ, status=405)
        return status, [*headers_, ("allow", allowed(matched.methods))], body
    from infra.chalice.app import app  # noqa: PLC0415 (the process that watches the worker needs none of it)

    reply = app(event_of(environ, matched, called), None)
    status, headers__, body = answer_of(reply)
    return status, headers__, b"" if method == "HEAD" else body


def _problem(
    error: Exception, environ: Mapping[str, Any], status: int | None = None
) -> tuple[str, list[tuple[str, str]], bytes]:
    found, body = problem(error)
    code = status or found.value
    if status:
        body = body.replace(b'"status":404', b'"status":%d' % status)
    headers = [
        ("content-type", "application/problem+json"),
        ("cache-control", "no-store"),
        ("x-trace-id", environ.get("HTTP_X_TRACE_ID") or str(uuid.uuid4())),
        *cors.headers_for(environ.get("HTTP_ORIGIN")).items(),
        ("content-length", str(len(body))),
    ]
    return status_line(code), headers, body


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--heavy", action="store_true", help="takes the functions that the template marks heavy")
    parser.add_argument("--reload", action="store_true", help="start anew when a file of the functions changes")
    given = parser.parse_args()
    Granian(
        "infra.local.serve:application",
        address="127.0.0.1",
        port=given.port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=1,
        log_level=LogLevels.warning,
        reload=given.reload,
    ).serve()


if __name__ == "__main__":
    main()
