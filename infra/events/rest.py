"""The API Gateway REST (v1) proxy event of an HTTP request, and the HTTP response of a handler's reply.

https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway.html
"""

import base64
import functools
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from infra import template_map
from infra.events.account import ACCOUNT
from infra.template_map import Route

type Event = dict[str, Any]
type Headers = list[tuple[str, str]]

STAGE = "Prod"
_API = "local"
_NO_AWS_IDENTITY = dict.fromkeys(
    (
        *("accessKey", "accountId", "caller", "cognitoAuthenticationProvider", "cognitoAuthenticationType"),
        *("cognitoIdentityId", "cognitoIdentityPoolId", "principalOrgId", "user", "userArn"),
    )
)
"""The identity's members that only AWS's own authorizers fill."""


class Resource(msgspec.Struct, frozen=True):
    """A path of the template with its routes."""

    path: str
    """As the template writes it, its variables in braces."""
    routes: Mapping[str, Route]
    """By method."""


class _Node:
    """One path segment in the tree of all paths."""

    __slots__ = ("named", "resource", "variable", "variable_name")

    def __init__(self) -> None:
        self.named: dict[str, _Node] = {}
        self.variable: _Node | None = None
        self.variable_name = ""
        self.resource: Resource | None = None


@functools.cache
def _root() -> _Node:
    root = _Node()
    routes_by_path: dict[str, dict[str, Route]] = {}
    for route in template_map.routes():
        routes_by_path.setdefault(route.path, {})[route.method] = route
    for path, routes in routes_by_path.items():
        node = root
        for segment in path.strip("/").split("/"):
            if segment.startswith("{"):
                node.variable = node.variable or _Node()
                node.variable_name = segment.strip("{}")
                node = node.variable
            else:
                node = node.named.setdefault(segment, _Node())
        node.resource = Resource(path, routes)
    return root


def find_resource(path: str) -> tuple[Resource, dict[str, str]] | None:
    """The resource at a decoded path, and the values of its variables; None if the template has no such path.

    At each level, a literal segment takes precedence over a variable.
    """
    values: dict[str, str] = {}
    resource = _search(_root(), path.strip("/").split("/"), 0, values)
    return (resource, values) if resource else None


def _search(node: _Node, segments: list[str], at: int, values: dict[str, str]) -> Resource | None:
    if at == len(segments):
        return node.resource
    segment = segments[at]
    if (named := node.named.get(segment)) and (resource := _search(named, segments, at + 1, values)):
        return resource
    if segment and node.variable and (resource := _search(node.variable, segments, at + 1, values)):
        values[node.variable_name] = segment
        return resource
    return None


def build_event(
    *,
    method: str,
    path: str,
    resource: str,
    variables: Mapping[str, str],
    query: str,
    headers: Iterable[tuple[str, str]],
    body: bytes,
    peer: str,
    protocol: str = "HTTP/1.1",
) -> Event:
    """The event of a request.

    The client's address is the last value of X-Forwarded-For, which the reverse proxy writes; `peer` if there is none.
    """
    all_headers: dict[str, list[str]] = {}
    for name, value in headers:
        all_headers.setdefault(name.lower(), []).append(value)
    last_headers = {name: values[-1] for name, values in all_headers.items()}
    parameters: dict[str, list[str]] = {}
    if query:
        for name, value in parse_qsl(query, keep_blank_values=True):
            parameters.setdefault(name, []).append(value)
    text, is_base64 = _encode_body(body, last_headers.get("content-type", ""))
    now = time.time()
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": last_headers,
        "multiValueHeaders": all_headers,
        "queryStringParameters": {name: values[-1] for name, values in parameters.items()} or None,
        "multiValueQueryStringParameters": parameters or None,
        "pathParameters": variables or None,
        "stageVariables": None,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": _API,
            "domainName": last_headers.get("host", "localhost"),
            "domainPrefix": _API,
            "extendedRequestId": _API,
            "httpMethod": method,
            "identity": {
                **_NO_AWS_IDENTITY,
                "sourceIp": last_headers.get("x-forwarded-for", peer).rpartition(",")[2].strip(),
                "userAgent": last_headers.get("user-agent"),
            },
            "path": f"/{STAGE}{path}",
            "protocol": protocol,
            "requestId": str(uuid.uuid4()),
            "requestTime": _common_log_time(int(now)),
            "requestTimeEpoch": int(now * 1000),
            "resourceId": _API,
            "resourcePath": resource,
            "stage": STAGE,
        },
        "body": text,
        "isBase64Encoded": is_base64,
    }


@functools.lru_cache(maxsize=2)
def _common_log_time(second: int) -> str:
    return time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(second))


@functools.cache
def binary_media_types() -> tuple[str, ...]:
    """The template's binary media types as prefixes: `image/*` is `image/`."""
    media_types = template_map.template()["Globals"]["Api"]["BinaryMediaTypes"]
    return tuple(each.replace("~1", "/").removesuffix("*") for each in media_types)


def _encode_body(body: bytes, content_type: str) -> tuple[str | None, bool]:
    """The body as text, and whether that is base64."""
    if not body:
        return None, False
    if not content_type.lower().startswith(binary_media_types()):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass  # API Gateway would replace the invalid bytes; base64 lets the handler report the error
    text: str = msgspec.to_builtins(body)  # base64, in less than half of the time that `base64` takes
    return text, True


def decode_reply(reply: Mapping[str, Any]) -> tuple[int, Headers, bytes]:
    """Status, headers and body of a handler's reply.

    As in API Gateway, a header's value is dropped from `headers` if `multiValueHeaders` holds the same one.
    """
    multiple: Mapping[str, list[Any]] = reply.get("multiValueHeaders") or {}
    headers = [
        (name, str(value))
        for name, value in (reply.get("headers") or {}).items()
        if value not in multiple.get(name, ())
    ]
    headers += [(name, str(value)) for name, values in multiple.items() for value in values]
    body = reply.get("body") or ""
    content = base64.b64decode(body) if reply.get("isBase64Encoded") else body.encode()
    return reply["statusCode"], headers, content
