"""The Chalice gateway: its routes are those of template.yaml.

The environments call it as Lambda would; `chalice --project-dir infra/chalice local` serves it too.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlencode

import msgspec
from chalice.app import Chalice, Response

sys.path.insert(0, str(Path(__file__).parents[2]))  # chalice's own server starts in this folder

from infra.local.environment import Environment, NotLoaded
from infra.local.event import Event, event_of, match
from infra.template_map import Route, routes
from layers.core import cors
from layers.core.errors import NotFound, PhotogramError
from layers.core.logging import logger
from layers.core.request import Request
from layers.core.response import STATUS_OF, Reply, problem

_DEEPEST = 12
"""Levels of an unknown path that `chalice local` still leads here; below that it answers 403 itself."""


class RouteNotFound(NotFound):
    """There is no such route."""


class WrongMethod(PhotogramError):
    """This method is not allowed here."""


STATUS_OF[WrongMethod] = HTTPStatus.METHOD_NOT_ALLOWED


class _Verbatim(Response):
    """A Lambda reply that Chalice passes on as it is: it looks into bodies and content types on its own account."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(body="")
        self._reply = reply

    def to_dict(self, binary_types: list[str] | None = None) -> Reply:  # noqa: ARG002 (Chalice's form)
        return self._reply


class Gateway(Chalice):
    """Chalice, with the contract's answers where Chalice would give its own: preflights, 404, 405, a broken file."""

    def __init__(self, routes: Sequence[Route]) -> None:
        super().__init__(app_name="gateway", configure_logs=False)
        self.shows_tracebacks = False
        """Whether who asks is a developer."""
        self.environments = {route.function.name: Environment(route.function) for route in routes if not route.is_alias}
        for number, route in enumerate(routes):
            view = self._view(self.environments[route.function.name])
            self.route(route.path, methods=[route.method], name=f"view_{number}", content_types=[])(view)
        levels = ["".join(f"/{{level_{level}}}" for level in range(1, depth)) for depth in range(2, _DEEPEST)]
        for path in ["/", *levels, *list(self.routes)]:
            self.route(path, methods=["OPTIONS"], name="options", content_types=[])(self._view(None))

    def __call__(self, event: Event, context: object) -> Reply:
        """The reply to a REST event."""
        if "resource" not in event:
            return _for_chalices_server(self(_completed(event), context))
        given = event["requestContext"]
        methods = [method for method in self.routes.get(given["resourcePath"], ()) if method != "OPTIONS"]
        method: str = given["httpMethod"]
        if method in methods:
            reply: Reply = super().__call__(event, context)
        elif not methods:
            reply = _refused(event, RouteNotFound())
        elif method == "OPTIONS":
            origin, wanted = event["headers"].get("origin"), event["headers"].get("access-control-request-headers")
            reply = _reply(event, HTTPStatus.NO_CONTENT, cors.preflight(origin, wanted), "")
        elif method == "HEAD" and "GET" in methods:
            context_of_get = {**given, "httpMethod": "GET"}
            reply = {**self({**event, "httpMethod": "GET", "requestContext": context_of_get}, context), "body": ""}
        else:
            allowed = sorted({*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set()))
            reply = _refused(event, WrongMethod(), headers={"allow": ", ".join(allowed)})
        reply.setdefault("multiValueHeaders", {})
        return reply

    def _view(self, environment: Environment | None) -> Callable[..., Response]:
        def view(**_: str) -> Response:
            assert environment  # noqa: S101 (for the type checker: OPTIONS never comes this far)
            assert self.current_request  # noqa: S101
            event = self.current_request.to_original_event()
            try:
                return _Verbatim(environment.invoke(event))
            except NotLoaded as error:
                logger().error("function not loaded", function=environment.function.name, reason=str(error))
                return _Verbatim(_refused(event, error, detail=str(error) if self.shows_tracebacks else ""))
            except Exception as error:  # noqa: BLE001 (a handler without our door)
                logger().exception("handler failed", function=environment.function.name)
                return _Verbatim(_refused(event, error))

        return view


def _completed(event: Event) -> Event:
    """The event as API Gateway sends it: `chalice local` leaves out a third of the keys and gives bodies as bytes."""
    given = event["requestContext"]
    path = unquote(given["path"])
    found = match(path)
    place, variables = found or (None, {})
    body = event.get("body") or b""
    return event_of(
        method=given["httpMethod"],
        path=path,
        resource=place.resource if place else given["resourcePath"],
        variables=variables,
        query=urlencode(event.get("multiValueQueryStringParameters") or {}, doseq=True),
        headers=event["headers"].items(),
        body=body.encode() if isinstance(body, str) else body,
        peer=given["identity"]["sourceIp"],
    )


def _for_chalices_server(reply: Reply) -> Reply:
    """Chalice's server adds a `Content-Type` of its own unless it finds one written so."""
    headers = dict(reply["headers"])
    if "content-type" in headers:
        headers["Content-Type"] = headers.pop("content-type")
    return {**reply, "headers": headers}


def _refused(event: Event, error: Exception, *, headers: Mapping[str, str] | None = None, detail: str = "") -> Reply:
    """A problem document, as the door would give it."""
    status, document = problem(error)
    if detail:
        document = msgspec.json.encode({**msgspec.json.decode(document), "detail": detail})
    given = {"content-type": "application/problem+json", **cors.headers_for(event["headers"].get("origin"))}
    return _reply(event, status, {**given, **(headers or {})}, document.decode())


def _reply(event: Event, status: HTTPStatus, headers: Mapping[str, str], body: str) -> Reply:
    """An answer of the gateway's own, with its log line."""
    request = Request(event)
    logger().info(
        "request",
        function="gateway",
        request_id=request.trace_id,
        trace_id=request.trace_id,
        method=request.method,
        path=request.path,
        user_id=None,
        status=status.value,
        duration_ms=0,
        content_length=len(body),
    )
    return {
        "statusCode": status.value,
        "headers": {"cache-control": "no-store", "x-trace-id": request.trace_id, **headers},
        "body": body,
        "isBase64Encoded": False,
    }


app = Gateway(routes())
