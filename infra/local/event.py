"""The full API Gateway REST (v1) proxy event of one HTTP request, and the way back from a handler's reply."""

import base64
import functools
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from infra import template_map
from infra.template_map import Route

type Event = dict[str, Any]
type Headers = list[tuple[str, str]]

STAGE = "Prod"
ACCOUNT = "000000000000"
_API = "local"
_NOBODY = dict.fromkeys(
    (
        *("accessKey", "accountId", "caller", "cognitoAuthenticationProvider", "cognitoAuthenticationType"),
        *("cognitoIdentityId", "cognitoIdentityPoolId", "principalOrgId", "user", "userArn"),
    )
)
"""The identity's members that tell of AWS's own ways to sign in."""


class Place(msgspec.Struct, frozen=True):
    """What stands at a path of the template."""

    resource: str
    """The path as the template writes it, its variables in braces."""
    routes: Mapping[str, Route]
    """By method."""


class _Level:
    """All that can follow a part of a path."""

    __slots__ = ("named", "place", "variable", "variable_name")

    def __init__(self) -> None:
        self.named: dict[str, _Level] = {}
        self.variable: _Level | None = None
        self.variable_name = ""
        self.place: Place | None = None


@functools.cache
def _root() -> _Level:
    root = _Level()
    places: dict[str, dict[str, Route]] = {}
    for route in template_map.routes():
        places.setdefault(route.path, {})[route.method] = route
    for resource, routes in places.items():
        level = root
        for part in resource.strip("/").split("/"):
            if part.startswith("{"):
                level.variable = level.variable or _Level()
                level.variable_name = part.strip("{}")
                level = level.variable
            else:
                level = level.named.setdefault(part, _Level())
        level.place = Place(resource, routes)
    return root


def match(path: str) -> tuple[Place, dict[str, str]] | None:
    """What stands at a path, already decoded, and its variables' values. At each level a name precedes a variable."""
    values: dict[str, str] = {}
    place = _found(_root(), path.strip("/").split("/"), 0, values)
    return (place, values) if place else None


def _found(level: _Level, parts: list[str], at: int, values: dict[str, str]) -> Place | None:
    if at == len(parts):
        return level.place
    part = parts[at]
    if (named := level.named.get(part)) and (place := _found(named, parts, at + 1, values)):
        return place
    if part and level.variable and (place := _found(level.variable, parts, at + 1, values)):
        values[level.variable_name] = part
        return place
    return None


def event_of(
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

    The client's address is X-Forwarded-For's last value: whoever is in front writes it. Without one it is `peer`.
    """
    several: dict[str, list[str]] = {}
    for name, value in headers:
        several.setdefault(name.lower(), []).append(value)
    last = {name: values[-1] for name, values in several.items()}
    questions: dict[str, list[str]] = {}
    if query:
        for name, value in parse_qsl(query, keep_blank_values=True):
            questions.setdefault(name, []).append(value)
    text, is_base64 = _body(body, last.get("content-type", ""))
    now = time.time()
    host = last.get("host", "localhost")
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": last,
        "multiValueHeaders": several,
        "queryStringParameters": {name: values[-1] for name, values in questions.items()} or None,
        "multiValueQueryStringParameters": questions or None,
        "pathParameters": variables or None,
        "stageVariables": None,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": _API,
            "domainName": host,
            "domainPrefix": _API,
            "extendedRequestId": _API,
            "httpMethod": method,
            "identity": {
                **_NOBODY,
                "sourceIp": last.get("x-forwarded-for", peer).rpartition(",")[2].strip(),
                "userAgent": last.get("user-agent"),
            },
            "path": f"/{STAGE}{path}",
            "protocol": protocol,
            "requestId": str(uuid.uuid4()),
            "requestTime": _clf(int(now)),
            "requestTimeEpoch": int(now * 1000),
            "resourceId": _API,
            "resourcePath": resource,
            "stage": STAGE,
        },
        "body": text,
        "isBase64Encoded": is_base64,
    }


@functools.lru_cache(maxsize=2)
def _clf(second: int) -> str:
    return time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(second))


@functools.cache
def binary_media_types() -> tuple[str, ...]:
    """What the template calls binary; `image/` stands for all of its kind."""
    given = template_map.template()["Globals"]["Api"]["BinaryMediaTypes"]
    return tuple(each.replace("~1", "/").removesuffix("*") for each in given)


def _body(body: bytes, content_type: str) -> tuple[str | None, bool]:
    if not body:
        return None, False
    if not content_type.lower().startswith(binary_media_types()):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass  # API Gateway would spoil it; so the handler can say what is wrong with it
    return base64.b64encode(body).decode("ascii"), True


def answer_of(reply: Mapping[str, Any]) -> tuple[int, Headers, bytes]:
    """Status, headers and body of a reply; its multi-value headers win over equal single ones, as on AWS."""
    several: Mapping[str, list[Any]] = reply.get("multiValueHeaders") or {}
    headers = [
        (name, str(value)) for name, value in (reply.get("headers") or {}).items() if value not in several.get(name, ())
    ]
    headers += [(name, str(value)) for name, values in several.items() for value in values]
    body = reply.get("body") or ""
    content = base64.b64decode(body) if reply.get("isBase64Encoded") else body.encode()
    return reply["statusCode"], headers, content
