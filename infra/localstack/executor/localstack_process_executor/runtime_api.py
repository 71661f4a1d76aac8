"""The Runtime API of one environment: awslambdaric asks it for events and posts what came of them.

Source: docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import queue
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from localstack_process_executor.failures import RESPONSE_BYTES, response_too_large

_ROOT = "/2018-06-01/runtime/"
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Event:
    """What `next` gives."""

    request_id: str
    payload: bytes
    function_arn: str
    trace_id: str
    deadline_ms: int
    """Since the epoch."""


@dataclass(frozen=True)
class Ready:
    """The function's module is imported; it asked for an event."""


@dataclass(frozen=True)
class InitFailed:
    """The function's module cannot be imported."""

    payload: bytes


@dataclass(frozen=True)
class Answered:
    """What a handler returned, or raised."""

    request_id: str
    payload: bytes
    is_error: bool


@dataclass(frozen=True)
class Exited:
    """The process ended, with a shell's exit status."""

    status: int


type Signal = Ready | InitFailed | Answered | Exited


class RuntimeApi:
    """A server on a loopback port of its own; the client takes no path in its address."""

    def __init__(self) -> None:
        self.signals: queue.SimpleQueue[Signal] = queue.SimpleQueue()
        self.events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.api = self
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 60}, daemon=True).start()

    @property
    def address(self) -> str:
        """For AWS_LAMBDA_RUNTIME_API."""
        return f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Take no more requests."""
        self.events.put(None)
        threading.Thread(target=self._end, daemon=True).start()  # until its accepting thread has noticed

    def _end(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    api: RuntimeApi


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one packet
    server: _Server

    def do_GET(self) -> None:
        """Give the next event, as soon as there is one."""
        api = self.server.api
        if self.path != f"{_ROOT}invocation/next":
            self._answer(HTTPStatus.NOT_FOUND)
            return
        api.signals.put(Ready())
        event = api.events.get()
        if event is None:
            self.close_connection = True
            return
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": event.request_id,
            "Lambda-Runtime-Deadline-Ms": str(event.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": event.function_arn,
            "Lambda-Runtime-Trace-Id": event.trace_id,
        }
        self._answer(HTTPStatus.OK, event.payload, headers)

    def do_POST(self) -> None:
        """Take what came of the import, or of an event."""
        api, parts = self.server.api, self.path.removeprefix(_ROOT).split("/")
        body, size = self._body()
        if parts == ["init", "error"]:
            api.signals.put(InitFailed(body))
        elif len(parts) == 3 and parts[0] == "invocation" and parts[2] == "error":  # noqa: PLR2004
            api.signals.put(Answered(parts[1], body, is_error=True))
        elif len(parts) == 3 and parts[0] == "invocation" and parts[2] == "response":  # noqa: PLR2004
            if size > RESPONSE_BYTES:
                api.signals.put(Answered(parts[1], response_too_large(size), is_error=True))
                self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                return
            api.signals.put(Answered(parts[1], body, is_error=False))
        else:
            self._answer(HTTPStatus.NOT_FOUND)
            return
        self._answer(HTTPStatus.ACCEPTED, json.dumps({"status": "OK"}).encode())

    def log_message(self, *_: Any) -> None:
        """Nothing: an invocation has its own lines."""

    def _body(self) -> tuple[bytes, int]:
        """What was sent, and its size; of too much only the size."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while length := int(self.rfile.readline().strip() or b"0", 16):
                parts.append(self.rfile.read(length))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(parts)
            return body, len(body)
        size = left = int(self.headers.get("Content-Length") or 0)
        if size <= RESPONSE_BYTES:
            return self.rfile.read(size), size
        while left > 0 and (chunk := self.rfile.read(min(left, _CHUNK))):
            left -= len(chunk)
        return b"", size

    def _answer(self, status: HTTPStatus, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
