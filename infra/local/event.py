"""The full API Gateway REST (v1) proxy event of one HTTP request, and the way back."""

import base64
import re
import time
import uuid
from collections.abc import Iterable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from infra.template_map import Route, routes

type Environ = Mapping[str, Any]

_BINARY = ("multipart/form-data", "image/")
_STAGE = "Prod"


class Match(msgspec.Struct, frozen=True):
    """What stands at a path: its routes by method, the template path and the variables' values."""

    resource: str
    methods: Mapping[str, Route]
    variables: Mapping[str, str] | None


@cache
def _table() -> tuple[dict[str, dict[str, Route]], list[tuple[re.Pattern[str], str, dict[str, Route]]]]:
    """Paths without variables by their text; the others as patterns."""
    fixed: dict[str, dict[str, Route]] = {}
    for route in routes():
        fixed.setdefault(route.path, {})[route.method] = route
    patterns = [
        (re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path))), path, methods)
        for path, methods in fixed.items()
        if "{" in path
    ]
    return {path: methods for path, methods in fixed.items() if "{" not in path}, patterns


def match(path: str) -> Match | None:
    """The routes of a path; one without variables goes before one with."""
    fixed, patterns = _table()
    if methods := fixed.get(path):
        return Match(path, methods, None)
    for pattern, resource, methods in patterns:
        if found := pattern.fullmatch(path):
            return Match(resource, methods, {name: unquote(value) for name, value in found.groupdict().items()})
    return None


def event_of(environ: Environ, matched: Match, method: str) -> dict[str, Any]:
    """The event of a WSGI request."""
    headers, several = _headers(environ)
    query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    body, is_base64 = _body(environ, headers.get("content-type", ""))
    path = environ["PATH_INFO"]
    # nginx overwrites X-Forwarded-For: its last value is the client's address.
    address = headers.get("x-forwarded-for", environ.get("REMOTE_ADDR", "")).rpartition(",")[2].strip()
    multiple: dict[str, list[str]] = {}
    for name, value in query:
        multiple.setdefault(name, []).append(value)
    return {
        "resource": matched.resource,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": several,
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": multiple or None,
        "pathParameters": matched.variables,
        "stageVariables": None,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": headers.get("host", "localhost"),
            "extendedRequestId": "local",
            "httpMethod": method,
            "identity": {"sourceIp": address, "userAgent": headers.get("user-agent")},
            "path": f"/{_STAGE}{path}",
            "protocol": environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
            "requestId": str(uuid.uuid4()),
            "requestTimeEpoch": int(time.time() * 1000),
            "resourceId": "local",
            "resourcePath": matched.resource,
            "stage": _STAGE,
        },
        "body": body,
        "isBase64Encoded": is_base64,
    }


def _headers(environ: Environ) -> tuple[dict[str, str], dict[str, list[str]]]:
    headers = {
        name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if value := environ.get(name):
            headers[name.replace("_", "-").lower()] = value
    return headers, {name: [value] for name, value in headers.items()}


def _body(environ: Environ, content_type: str) -> tuple[str | None, bool]:
    raw: bytes = environ["wsgi.input"].read()
    if not raw:
        return None, False
    if not content_type.lower().startswith(_BINARY):
        try:
            return raw.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(raw).decode(), True


def answer_of(reply: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """Status line, headers and body of a proxy response."""
    body = reply.get("body") or ""
    content = base64.b64decode(body) if reply.get("isBase64Encoded") else body.encode()
    headers = [(name, str(value)) for name, value in (reply.get("headers") or {}).items()]
    for name, values in (reply.get("multiValueHeaders") or {}).items():
        headers += [(name, str(value)) for value in values]
    headers.append(("content-length", str(len(content))))
    return status_line(reply["statusCode"]), headers, content


def status_line(status: int) -> str:
    """`404 Not Found`."""
    return f"{status} {HTTPStatus(status).phrase}"


def allowed(methods: Iterable[str]) -> str:
    """What an Allow header says."""
    return ", ".join(sorted({*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))
