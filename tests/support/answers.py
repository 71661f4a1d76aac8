"""Events as HTTP requests, and their answers without what differs between two accounts or two moments."""

import base64
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from infra.events.rest import decode_reply

REPLACEMENTS = (
    (re.compile(r"https?://[^\"\s]+/(media|uploads)/[^\"\s]*"), "<link>"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "<time>"),
    (re.compile(r"\b[a-z_]+_[0-9a-f]{8,}\b"), "<name>"),
    (re.compile(r"\b(caption|comment|reply|message)-[0-9a-f]{8}\b"), "<text>"),
    (re.compile(r"\"(\w+M[sB]|uptime)\":[\d.]+"), "<measure>"),
    (re.compile(r"\"(nextCursor|lastId|sessionId)\":\"[^\"]+\""), "<cursor>"),
)
VARYING_HEADERS = {"x-trace-id", "ratelimit-remaining", "ratelimit-reset", "content-length", "date"}

type Answer = tuple[int, dict[str, str], str]


def target(event: Mapping[str, Any]) -> str:
    """The path and the query of an event's request."""
    parameters = event.get("multiValueQueryStringParameters")
    return quote(event["path"]) + (f"?{urlencode(parameters, doseq=True)}" if parameters else "")


def body(event: Mapping[str, Any]) -> bytes:
    """The body of an event's request."""
    text = event.get("body") or ""
    return base64.b64decode(text) if event.get("isBase64Encoded") else text.encode()


def decode(reply: Mapping[str, Any]) -> Answer:
    """The answer that a handler's reply becomes."""
    status, headers, content = decode_reply(reply)
    return normalize(status, dict(headers), content)


def normalize(status: int, headers: Mapping[str, str], content: bytes) -> Answer:
    """The answer without what differs between two accounts."""
    text = content.decode()
    lower = {name.lower(): value for name, value in headers.items()}
    for pattern, replacement in REPLACEMENTS:
        text = pattern.sub(replacement, text)
        lower = {name: pattern.sub(replacement, value) for name, value in lower.items()}
    if "set-cookie" in lower:
        lower["set-cookie"] = re.sub(r"session_id=[^;]+", "session_id=<session>", lower["set-cookie"])
    return status, {name: value for name, value in lower.items() if name not in VARYING_HEADERS}, text
