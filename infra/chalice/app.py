"""The Chalice gateway: its routes are those of template.yaml.

`chalice --project-dir infra/chalice local` serves it too; the hosts call it as Lambda would.
"""

import functools
import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from chalice import Chalice, Response

sys.path.insert(0, str(Path(__file__).parents[2]))  # chalice's own server starts in this folder

from infra.template_map import Route, routes  # noqa: E402

app = Chalice(app_name="photogram")


def _view_of(route: Route) -> Callable[..., Response]:
    """A Chalice view that hands the whole event to the Lambda handler, and its reply back."""

    def view(**_: str) -> Response:
        reply = _handler(route.function.handler)(_completed(app.current_request.to_original_event()), app.lambda_context)
        headers = {**(reply.get("headers") or {}), **(reply.get("multiValueHeaders") or {})}
        return Response(body=reply["body"], headers=headers, status_code=reply["statusCode"])

    return view


def _completed(event: dict[str, Any]) -> dict[str, Any]:
    """The event with the top-level keys that API Gateway sends and chalice's own server leaves out."""
    context = event["requestContext"]
    return {
        "resource": context["resourcePath"],
        "path": context.get("path", context["resourcePath"]),
        "httpMethod": context["httpMethod"],
        **event,
    }


@functools.cache
def _handler(dotted: str) -> Callable[[Mapping[str, Any], object], dict[str, Any]]:
    module, _, name = dotted.rpartition(".")
    found: Callable[[Mapping[str, Any], object], dict[str, Any]] = getattr(importlib.import_module(module), name)
    return found


def _register() -> None:
    """Every route of the template; an empty list of content types leaves that decision to the handler."""
    for number, route in enumerate(routes()):
        view = _view_of(route)
        view.__name__ = f"{route.function.logical_id}{number}"
        app.route(route.path, methods=[route.method], content_types=[], name=view.__name__)(view)


_register()
