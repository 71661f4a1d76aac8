"""An HTTP exchange: a request and its reply, with the log line and the metrics."""

import functools
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from layers.core import media_links, metrics, trace, waiting
from layers.core.errors import MethodNotAllowed, StoreUnavailable, TooMany
from layers.core.limits import SESSION_SECONDS
from layers.core.logging import RequestLine, format_timestamp, function_name, logger, write_request
from layers.core.metrics import Counter, Histogram
from layers.core.models import Session
from layers.core.settings import settings
from layers.entrypoints import cors
from layers.entrypoints.arguments import read_arguments
from layers.entrypoints.invocation import invocation
from layers.entrypoints.request import SESSION_COOKIE, Request
from layers.entrypoints.response import Reply, SignedIn, SignedOut, describe_problem, unwrap
from layers.entrypoints.signature import Handler, Signature

type Endpoint = Callable[[Mapping[str, Any], object], Reply]

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"


class Exchange:
    """A request, and what its reply contains in every case: headers and cookie."""

    __slots__ = ("headers", "request", "response_bytes", "session")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.session: Session | None = None
        self.response_bytes = 0
        self.headers: dict[str, str] = {"cache-control": "no-store", "x-trace-id": request.trace_id}

    def respond(self, handler: Handler, signature: Signature) -> Reply:
        """The handler's reply; raises the error that refuses the request, in the order of docs/contract/README.md."""
        self.check_origin()
        return self.reply(*self.encode(handler(**read_arguments(self.request, signature))))

    def check_origin(self) -> None:
        """Add the CORS headers; raises `ForeignOrigin`."""
        origin = self.request.headers.get("origin")
        if origin is not None:
            self.headers |= cors.headers_for(origin)
            cors.check_origin(self.request.method, origin)

    def encode(self, returned: object) -> tuple[HTTPStatus, bytes]:
        """Status and JSON of a handler's result."""
        status, answer = unwrap(returned)
        if isinstance(returned, SignedIn):
            self.set_cookie(returned.session_id)
        elif isinstance(returned, SignedOut):
            self.set_cookie("", seconds=0)
        return status, answer if isinstance(answer, bytes) else msgspec.json.encode(answer)

    def set_cookie(self, session_id: str, *, seconds: int = SESSION_SECONDS) -> None:
        """Send the session cookie with the reply (R-A1)."""
        secure = "; Secure" if settings().secure_cookies else ""
        self.headers["set-cookie"] = (
            f"{SESSION_COOKIE}={session_id}; HttpOnly; SameSite=Lax; Path=/; Max-Age={seconds}{secure}"
        )

    def reply(self, status: HTTPStatus, body: bytes) -> Reply:
        """A successful reply; the media links in its JSON are signed here."""
        self.headers["content-type"] = JSON
        return self._reply(status, media_links.sign_all(body))

    def refuse(self, error: Exception) -> Reply:
        """The problem document of an error."""
        status, body = describe_problem(error)
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            logger().exception("unexpected failure", trace_id=self.request.trace_id)
        if isinstance(error, TooMany | StoreUnavailable):
            self.headers["retry-after"] = str(error.retry_after)
        if isinstance(error, TooMany):
            metrics.RATE_LIMIT_HITS.labels(error.action).inc()
        if isinstance(error, MethodNotAllowed):
            self.headers["allow"] = ", ".join(error.allowed)
        self.headers["content-type"] = PROBLEM
        return self._reply(status, body)

    def _reply(self, status: HTTPStatus, body: bytes) -> Reply:
        self.response_bytes = len(body)
        return {
            "statusCode": status.value,
            "headers": self.headers,
            "body": body.decode(),
            "isBase64Encoded": False,
        }


def make_handler(handler: Handler, signature: Signature, exchange_type: type[Exchange]) -> Endpoint:
    """A Lambda handler that answers each event with an exchange of this type."""
    name = function_name(handler)

    @functools.wraps(handler)
    def answer(event: Mapping[str, Any], context: object) -> Reply:
        with invocation(context):
            return run_exchange(name, exchange_type(Request(event)), handler, signature)

    answer.__dict__["signature"] = signature  # for the description of the API
    return answer


def run_exchange(name: str, exchange: Exchange, handler: Handler, signature: Signature, *, route: str = "") -> Reply:
    """The reply to a request, also if it is an error; writes the log line and updates the metrics.

    `route` replaces the template of the event's route in the metrics.
    """
    started = time.perf_counter()
    request = exchange.request
    trace.trace_id.set(request.trace_id)
    waiting.begin(waiting.UPLOAD_SECONDS if signature.form and request.is_multipart else waiting.REQUEST_SECONDS)
    try:
        reply = exchange.respond(handler, signature)
    except Exception as error:  # noqa: BLE001 (the one place where errors become answers)
        reply = exchange.refuse(error)
    finally:
        waiting.end()
    _record(name, exchange, reply, time.perf_counter() - started, route or request.route)
    return reply


def _record(name: str, exchange: Exchange, reply: Reply, seconds: float, route: str) -> None:
    """Write the log line of a request (R-O3) and update its metrics."""
    request = exchange.request
    counter, histogram = _meters(request.method, route, str(reply["statusCode"]))
    counter.inc()
    histogram.observe(seconds)
    line = RequestLine(
        timestamp=format_timestamp(time.time()),
        function=name,
        request_id=request.trace_id,
        function_request_id=trace.function_request_id.get(),
        trace_id=request.trace_id,
        method=request.method,
        path=request.path,
        user_id=exchange.session.user_id if exchange.session else None,
        status=reply["statusCode"],
        duration_ms=round(seconds * 1000, 2),
        content_length=request.content_length,
        response_bytes=exchange.response_bytes,
    )
    write_request(line)


@functools.lru_cache(maxsize=1024)
def _meters(method: str, route: str, status: str) -> tuple[Counter, Histogram]:
    """The counter and the histogram of a request; cached, as looking up labels is slow."""
    return metrics.HTTP_REQUESTS.labels(method, route, status), metrics.HTTP_SECONDS.labels(method, route, status)
