"""The Runtime API server of one environment: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

It parses HTTP/1.1 itself: `http.server` takes a third of a millisecond for each request, and refuses header lines over
64 kB, which awslambdaric sends with the traceback of a deep recursion.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import BinaryIO

from .reports import MAX_RESPONSE_BYTES

_VERSION = "/2018-06-01/runtime"
_CHUNK = 65536


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event for a runtime; `deadline_ms` is in milliseconds since 1970."""

    request_id: str
    function_arn: str
    trace_id: str
    payload: bytes
    deadline_ms: int = 0


@dataclass(frozen=True)
class Ready:
    """The runtime requested its first event: its init has ended."""


@dataclass(frozen=True)
class InitFailed:
    """The runtime could not load the function."""

    payload: bytes


@dataclass(frozen=True)
class Answered:
    """The handler returned."""

    payload: bytes


@dataclass(frozen=True)
class Raised:
    """The handler raised; the payload describes the error."""

    payload: bytes


@dataclass(frozen=True)
class AnswerTooLarge:
    """The handler's answer exceeds the limit."""


Message = Ready | InitFailed | Answered | Raised | AnswerTooLarge


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    body: bytes | None  # None if it is too large


class RuntimeApi:
    """A server on its own port, because awslambdaric's setting has no path; calls `notify` with each message."""

    def __init__(self, notify: Callable[[Message], None]) -> None:
        self._notify = notify
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._request_id = ""
        self._was_ready = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, name="runtime-api", daemon=True).start()

    @property
    def address(self) -> str:
        """host:port, for AWS_LAMBDA_RUNTIME_API."""
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def send(self, event: Event) -> None:
        """Send the event to the runtime when it requests the next one."""
        self._events.put(event)

    def close(self) -> None:
        """Stop listening; open connections end with the runtime's process."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # interrupts `accept`, which `close` does not
        self._listener.close()
        self._events.put(None)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[connection], name="runtime-api", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as stream, contextlib.suppress(OSError, ValueError):
            for request in _requests(stream):
                connection.sendall(self._answer(request))

    def _answer(self, request: _Request) -> bytes:
        match request.method, request.path.removeprefix(_VERSION).split("/")[1:]:
            case "GET", ["invocation", "next"]:
                return self._next()
            case "POST", ["init", "error"]:
                self._notify(InitFailed(request.body or b""))
                return _response(202)
            case "POST", ["invocation", request_id, "response" | "error" as outcome]:
                return self._outcome(request_id, outcome, request.body)
        return _response(404)

    def _next(self) -> bytes:
        if not self._was_ready:
            self._was_ready = True
            self._notify(Ready())
        event = self._events.get()
        if event is None:
            raise ConnectionAbortedError
        self._request_id = event.request_id
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": event.request_id,
            "Lambda-Runtime-Deadline-Ms": str(event.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": event.function_arn,
            "Lambda-Runtime-Trace-Id": event.trace_id,
        }
        return _response(200, event.payload, headers)

    def _outcome(self, request_id: str, outcome: str, body: bytes | None) -> bytes:
        if request_id != self._request_id:
            return _response(400, b'{"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"}')
        if body is None:
            self._notify(AnswerTooLarge())
            return _response(413, b'{"errorMessage": "Too large", "errorType": "RequestEntityTooLarge"}')
        self._notify(Answered(body) if outcome == "response" else Raised(body))
        return _response(202)


def _requests(stream: BinaryIO) -> Iterator[_Request]:
    while line := stream.readline():
        method, path, _ = line.decode("latin-1").split()
        length = 0
        while (header := stream.readline()).strip():
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        yield _Request(method, path, _body(stream, length))


def _body(stream: BinaryIO, length: int) -> bytes | None:
    if length <= MAX_RESPONSE_BYTES:
        return stream.read(length)
    while length > 0:  # the client reads the answer only after it has sent everything
        length -= len(stream.read(min(length, _CHUNK))) or length
    return None


def _response(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status} -", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode("latin-1") + body
