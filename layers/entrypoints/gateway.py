"""Replies of the gateway itself.

They are for unknown routes, wrong methods, preflights, uploads before their body, and functions that fail to load.
All but the last are limited, counted and logged as replies of functions are (R-L6).
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from layers.core.errors import MethodNotAllowed, RouteNotFound
from layers.core.models import Viewer
from layers.entrypoints import cors
from layers.entrypoints.endpoint import AdmittedExchange
from layers.entrypoints.http import Exchange, run_exchange
from layers.entrypoints.request import Request
from layers.entrypoints.response import Reply
from layers.entrypoints.signature import Handler, Signature

_FUNCTION: Final = "gateway"
_UNKNOWN_ROUTE: Final = "(unknown)"
"""The route in the metrics; with the path as the label there would be no limit to the number of labels."""

_UPLOADS: Final = "(uploads)"
_ANYBODY: Final = Signature()
_UPLOAD: Final = Signature(viewer=Viewer, viewer_optional=False)


def answer_unknown_route(event: Mapping[str, Any]) -> Reply:
    """404 as a problem document."""

    def refuse() -> None:
        raise RouteNotFound

    return _run(_GatewayExchange(Request(event)), refuse, route=_UNKNOWN_ROUTE)


def answer_wrong_method(event: Mapping[str, Any], *, allowed: Sequence[str]) -> Reply:
    """405 as a problem document; `allowed` are the methods of the route, for the header `Allow`."""

    def refuse() -> None:
        raise MethodNotAllowed(allowed)

    return _run(_GatewayExchange(Request(event)), refuse)


def answer_preflight(event: Mapping[str, Any]) -> Reply:
    """204 with the CORS headers that answer a preflight."""
    return _run(_Preflight(Request(event)), lambda: None)


def admit_upload(event: Mapping[str, Any]) -> Reply:
    """200 if the session in an upload's headers may send its body, otherwise the refusal.

    The load balancer asks before it reads the body; the function that gets the body checks all of it again.
    """
    return _run(AdmittedExchange(Request(event)), lambda: None, signature=_UPLOAD, route=_UPLOADS)


def answer_failure(event: Mapping[str, Any], error: Exception, *, detail: str = "") -> Reply:
    """500 for a function that cannot be loaded, or that failed outside its entry point.

    `detail` replaces the text of the answer, to show a developer the reason.
    """

    def fail() -> None:
        raise error

    exchange = Exchange(Request(event))
    reply = run_exchange(_FUNCTION, exchange, fail, _ANYBODY)
    if detail:
        reply["body"] = msgspec.json.encode({**msgspec.json.decode(reply["body"]), "detail": detail}).decode()
    return reply


class _GatewayExchange(AdmittedExchange):
    """Adds the CORS headers but accepts every origin: an unknown route is 404 for all."""

    __slots__ = ()

    def check_origin(self) -> None:
        self.headers |= cors.headers_for(self.request.headers.get("origin"))


class _Preflight(_GatewayExchange):
    __slots__ = ()

    def reply(self, status: HTTPStatus, body: bytes) -> Reply:  # noqa: ARG002 (a preflight has no body)
        headers = self.request.headers
        self.headers |= cors.preflight(headers.get("origin"), headers.get("access-control-request-headers"))
        return {
            "statusCode": HTTPStatus.NO_CONTENT.value,
            "headers": self.headers,
            "body": "",
            "isBase64Encoded": False,
        }


def _run(
    exchange: AdmittedExchange,
    handler: Handler,
    *,
    signature: Signature = _ANYBODY,
    route: str = "",
) -> Reply:
    return run_exchange(_FUNCTION, exchange, handler, signature, route=route)
