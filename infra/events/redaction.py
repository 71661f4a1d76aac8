"""Replaces the secrets in a recorded event or result: sessions, passwords, e-mail addresses, signatures.

A session becomes `[session of <account>]`, so that a repetition can sign in the same account, and everything else
`[removed]`.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from layers.entrypoints.request import SESSION_COOKIE, session_id_in

REMOVED: Final = "[removed]"
CUT: Final = "[cut]"
MAX_BODY: Final = 64 * 1024
"""A longer body of an event, in characters of the event, is left out: uploads would fill the disk."""
MAX_RESULT: Final = 8 * 1024
"""How many characters of the body of a result are kept."""

_SESSION: Final = re.compile(r"\[session of ([0-9a-f-]{36})\]")
_SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "x-amz-security-token"})
_SECRET_MEMBERS: Final = frozenset({"password", "email"})
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+")
_CREDENTIALS: Final = "auth/"
"""The area whose bodies hold credentials: one that cannot be read is removed as a whole."""
_IN_TEXT: Final = (
    (re.compile(r"/media/[^/\s\"?\\]+"), f"/media/{REMOVED}"),
    (
        re.compile(r"(X-Amz-(?:Signature|Credential|Security-Token)(?:=|%3D))[^&\s\"\\]+", re.IGNORECASE),
        rf"\1{REMOVED}",
    ),
    (re.compile(r"(\\?\"(?:email|password)\\?\"\s*:\s*\\?\")(?:[^\"\\]|\\(?!\"))*"), rf"\1{REMOVED}"),
)


def redact_event(event: Mapping[str, Any], *, function: str, account: UUID | None) -> dict[str, Any]:
    """The event without secrets; `account` is whose session it has."""
    redacted = dict(event)
    if event.get("headers"):
        redacted["headers"] = {name: _header(name, value, account) for name, value in event["headers"].items()}
    if event.get("multiValueHeaders"):
        redacted["multiValueHeaders"] = {
            name: [_header(name, value, account) for value in values]
            for name, values in event["multiValueHeaders"].items()
        }
    if event.get("body") and "httpMethod" in event:
        redacted["body"], redacted["isBase64Encoded"] = _body(event, function)
    return redacted


def redact_result(result: object) -> object:
    """The result without secrets, the body of an HTTP reply up to `MAX_RESULT` characters."""
    if not isinstance(result, dict):
        return result
    redacted = {**result}
    if headers := result.get("headers"):
        redacted["headers"] = {
            name: re.sub(rf"{SESSION_COOKIE}=[^;]+", f"{SESSION_COOKIE}={REMOVED}", value)
            if name.lower() == "set-cookie"
            else value
            for name, value in headers.items()
        }
    if body := result.get("body"):
        redacted["body"] = redact_text(body[:MAX_RESULT]) + (CUT if len(body) > MAX_RESULT else "")
    return redacted


def redact_text(text: str) -> str:
    """A text without signatures, e-mail addresses and passwords that stand in it as links or members of JSON."""
    for pattern, replacement in _IN_TEXT:
        text = pattern.sub(replacement, text)
    return text


def account_in(cookies: str) -> UUID | None:
    """The account whose session was removed from these cookies; None if there was none."""
    found = _SESSION.search(cookies)
    return UUID(found[1]) if found else None


def _header(name: str, value: str, account: UUID | None) -> str:
    lower = name.lower()
    if lower == "cookie":
        return f"{SESSION_COOKIE}=[session of {account}]" if account and session_id_in({lower: value}) else REMOVED
    return REMOVED if lower in _SECRET_HEADERS else redact_text(value)


def _body(event: Mapping[str, Any], function: str) -> tuple[str, bool]:
    """The body without secrets, and whether it is base64."""
    body: str = event["body"]
    if body == CUT or len(body) > MAX_BODY:
        return CUT, False
    is_base64 = bool(event.get("isBase64Encoded"))
    content = base64.b64decode(body) if is_base64 else body.encode()
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return (REMOVED, False) if function.startswith(_CREDENTIALS) else (body, is_base64)
    redacted = _text_body(text, _content_type(event), function)
    return (base64.b64encode(redacted.encode()).decode(), True) if is_base64 else (redacted, False)


def _text_body(text: str, content_type: str, function: str) -> str:
    if content_type.startswith("application/x-www-form-urlencoded"):
        return urlencode([(name, _value(name, value)) for name, value in parse_qsl(text, keep_blank_values=True)])
    try:
        return redact_text(json.dumps(_walk(json.loads(text)), ensure_ascii=False))
    except (ValueError, RecursionError):  # it is not JSON, or nested deeper than anything that a function reads
        return REMOVED if function.startswith(_CREDENTIALS) else redact_text(text)


def _walk(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _value(name, inner) if isinstance(inner, str) else _walk(inner) for name, inner in value.items()}
    return [_walk(inner) for inner in value] if isinstance(value, list) else value


def _value(name: str, value: str) -> str:
    lower = name.lower()
    is_secret = lower in _SECRET_MEMBERS or (lower == "username" and _ADDRESS.fullmatch(value.strip()))
    return REMOVED if is_secret else value


def _content_type(event: Mapping[str, Any]) -> str:
    return next((value.lower() for name, value in event["headers"].items() if name.lower() == "content-type"), "")
