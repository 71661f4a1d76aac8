"""One HTTP request, read from an API Gateway REST (v1) proxy event."""

import base64
import functools
import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import msgspec

from layers.core import limits
from layers.core.errors import Invalid, TooLarge
from layers.core.multipart import Form, read_form

SESSION_COOKIE = "session_id"
_TRACE_LENGTH = 128


def session_id_in(headers: Mapping[str, str]) -> str | None:
    """The session cookie's value in headers with names in lower case."""
    for pair in headers.get("cookie", "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == SESSION_COOKIE and value:
            return value
    return None


class Request:
    """What a door reads of an event; bodies are decoded at first use."""

    __slots__ = ("__dict__", "_event", "headers", "method", "path_parameters", "route")

    def __init__(self, event: Mapping[str, Any]) -> None:
        self._event = event
        context = event.get("requestContext") or {}
        self.method: str = event.get("httpMethod") or context["httpMethod"]
        self.route: str = event.get("resource") or context.get("resourcePath") or ""
        self.path_parameters: Mapping[str, str] = event.get("pathParameters") or {}
        self.headers: dict[str, str] = {name.lower(): value for name, value in (event.get("headers") or {}).items()}

    @property
    def path(self) -> str:
        """The path as called."""
        return self._event.get("path") or self.route

    @functools.cached_property
    def trace_id(self) -> str:
        """The caller's `x-trace-id`, if it is 1 to 128 visible ASCII characters; otherwise a new one."""
        given = self.headers.get("x-trace-id", "")
        fits = 0 < len(given) <= _TRACE_LENGTH and given.isascii() and given.isprintable() and " " not in given
        return given if fits else str(uuid4())

    @property
    def address(self) -> str:
        """The client's address, as the front door saw it."""
        identity = (self._event.get("requestContext") or {}).get("identity") or {}
        return identity.get("sourceIp") or "unknown"

    @property
    def session_id(self) -> str | None:
        """The session cookie's value."""
        return session_id_in(self.headers)

    @property
    def query(self) -> Mapping[str, str]:
        """Query parameters, the last value of each."""
        several = self._event.get("multiValueQueryStringParameters")
        if several:
            return {name: values[-1] for name, values in several.items()}
        return self._event.get("queryStringParameters") or {}

    @functools.cached_property
    def body(self) -> bytes:
        """The body's bytes, from whichever form the host gave."""
        body = self._event.get("body") or b""
        if self._event.get("isBase64Encoded"):
            return base64.b64decode(body)
        return body.encode() if isinstance(body, str) else body

    @property
    def content_type(self) -> str:
        """The declared media type with its parameters."""
        return self.headers.get("content-type", "")

    @property
    def is_multipart(self) -> bool:
        """Whether the body is a multipart form."""
        return self.content_type.lower().startswith("multipart/form-data")

    @property
    def fingerprint(self) -> bytes:
        """The same for the same body; a form's is that of its fields, as each sending has a boundary of its own."""
        if not self.is_multipart:
            return hashlib.sha256(self.body).digest()
        digest = hashlib.sha256()
        for name, text in sorted(self.form.texts.items()):
            digest.update(b"t%d:%b%b" % (len(name), name.encode(), hashlib.sha256(text.encode()).digest()))
        for file in self.form.files:
            digest.update(b"f%d:%b%b" % (len(file.field), file.field.encode(), hashlib.sha256(file.data).digest()))
        return digest.digest()

    def members(self) -> dict[str, Any]:
        """The JSON body's members (or a url-encoded form's); an empty body has none."""
        if len(self.body) > limits.JSON_BYTES:
            raise TooLarge(f"The body is larger than {limits.JSON_BYTES // 1024} KiB.")
        if not self.body.strip():
            return {}
        if self.content_type.lower().startswith("application/x-www-form-urlencoded"):
            return dict(parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True))
        try:
            members = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Invalid(f"The body is not valid JSON: {error}") from None
        if not isinstance(members, dict):
            raise Invalid("The body must be a JSON object.")
        return members

    @functools.cached_property
    def form(self) -> Form:
        """The multipart body, read; raises `Invalid` or `TooLarge`."""
        if not self.is_multipart:
            raise Invalid("The body must be multipart/form-data.")
        return read_form(self.body, self.content_type)
