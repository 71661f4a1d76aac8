"""The Chalice application, with the routes of template.yaml.

`infra.local.serve` calls it with REST events, as Lambda does; `chalice --project-dir infra/chalice local` works too.
"""

import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlencode

from chalice.app import Chalice, Response

sys.path.insert(0, str(Path(__file__).parents[2]))  # `chalice local` starts in this folder

from infra.environments.handlers import HandlerNotLoaded
from infra.environments.in_process import InProcessEnvironment
from infra.events.rest import Event, build_event, find_resource
from infra.template_map import Route, routes
from layers.core.logging import logger
from layers.entrypoints import gateway
from layers.entrypoints.response import Reply

_MAX_LEVELS = 10
"""Levels of an unknown path up to which `chalice local` calls this application; for deeper ones it answers 403."""


class _UnchangedResponse(Response):
    """Makes Chalice return a Lambda reply unchanged; it would convert the body and check the content type."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(body="")
        self._reply = reply

    def to_dict(self, binary_types: list[str] | None = None) -> Reply:  # noqa: ARG002 (Chalice's signature)
        return self._reply


class Gateway(Chalice):
    """Chalice with the contract's answers to preflights, unknown routes, wrong methods and broken handlers."""

    def __init__(self, routes: Sequence[Route]) -> None:
        super().__init__(app_name="gateway", configure_logs=False)
        self.api.binary_types = []  # replies are returned unchanged, so their types need no comparison
        self.shows_tracebacks = False
        """Whether the answer contains the traceback when a handler cannot be loaded; for development only."""
        self.environments = {
            route.function.name: InProcessEnvironment(route.function) for route in routes if not route.is_alias
        }
        for number, route in enumerate(routes):
            view = self._view(self.environments[route.function.name])
            self.route(route.path, methods=[route.method], name=f"view_{number}", content_types=[])(view)
        levels = itertools.accumulate(f"/{{level_{level}}}" for level in range(1, _MAX_LEVELS + 1))
        for path in ["/", *levels, *list(self.routes)]:
            self.route(path, methods=["OPTIONS"], name="options", content_types=[])(self._view(None))

    def __call__(self, event: Event, context: object) -> Reply:
        """The reply to a REST event."""
        if "resource" not in event:
            return _for_chalice_local(self(_complete_event(event), context))
        request_context = event["requestContext"]
        methods = [method for method in self.routes.get(request_context["resourcePath"], ()) if method != "OPTIONS"]
        method: str = request_context["httpMethod"]
        if method in methods:
            reply: Reply = super().__call__(event, context)
            self.current_request = None  # it would keep the body, up to a hundred megabytes, until the next request
        elif not methods:
            reply = gateway.answer_unknown_route(event)
        elif method == "OPTIONS":
            reply = gateway.answer_preflight(event)
        elif method == "HEAD" and "GET" in methods:
            get = {**event, "httpMethod": "GET", "requestContext": {**request_context, "httpMethod": "GET"}}
            reply = {**self(get, context), "body": ""}
        else:
            allowed = sorted({*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set()))
            reply = gateway.answer_wrong_method(event, allowed=allowed)
        reply.setdefault("multiValueHeaders", {})
        return reply

    def _view(self, environment: InProcessEnvironment | None) -> Callable[..., Response]:
        def view(**_: str) -> Response:
            assert environment  # noqa: S101 (for the type checker: __call__ answers OPTIONS)
            assert self.current_request  # noqa: S101
            event = self.current_request.to_original_event()
            try:
                return _UnchangedResponse(environment.invoke(event))
            except HandlerNotLoaded as error:
                logger().error("handler cannot be imported", function=environment.function.name, reason=str(error))
                detail = str(error) if self.shows_tracebacks else ""
                return _UnchangedResponse(gateway.answer_failure(event, error, detail=detail))
            except Exception as error:  # noqa: BLE001 (a handler without an entry point may raise anything)
                logger().exception("handler failed", function=environment.function.name)
                return _UnchangedResponse(gateway.answer_failure(event, error))

        return view


def _complete_event(event: Event) -> Event:
    """The event as API Gateway sends it: `chalice local` omits a third of the keys and passes bodies as bytes."""
    request_context = event["requestContext"]
    path = unquote(request_context["path"])
    resource, variables = find_resource(path) or (None, {})
    body = event.get("body") or b""
    return build_event(
        method=request_context["httpMethod"],
        path=path,
        resource=resource.path if resource else request_context["resourcePath"],
        variables=variables,
        query=urlencode(event.get("multiValueQueryStringParameters") or {}, doseq=True),
        headers=event["headers"].items(),
        body=body.encode() if isinstance(body, str) else body,
        peer=request_context["identity"]["sourceIp"],
    )


def _for_chalice_local(reply: Reply) -> Reply:
    """The reply with the header name `Content-Type`: `chalice local` adds a second header if it is in lower case."""
    headers = dict(reply["headers"])
    if "content-type" in headers:
        headers["Content-Type"] = headers.pop("content-type")
    return {**reply, "headers": headers}


app = Gateway(routes())
