"""The event of an invocation: where it comes from, and what is laid over it."""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from infra.events.rest import STAGE
from infra.invoke.names import UsageError
from infra.template_map import Function
from layers.entrypoints.request import SESSION_COOKIE
from layers.rabbitmq.messages import WITHHOLD

EVENTS = Path(__file__).parents[2] / "events"


def read_event(source: str | None, function: Function) -> dict[str, Any]:
    """The event in a file, in standard input (`-`), or the function's sample (None); raises `UsageError`."""
    path = EVENTS / f"{function.name}.json" if source is None else Path(source)
    try:
        text = sys.stdin.read() if source == "-" else path.read_text()
        event = json.loads(text)
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{'Standard input' if source == '-' else path} is not JSON: {error}") from None
    if not isinstance(event, dict):
        raise UsageError("An event must be a JSON object.")
    return event


def is_http(event: Mapping[str, Any]) -> bool:
    """Whether it is the event of an HTTP request."""
    return "httpMethod" in event


def is_of_queue(event: Mapping[str, Any]) -> bool:
    """Whether it is a batch of a queue."""
    return "rmqMessagesByQueue" in event


def cookie(event: Mapping[str, Any]) -> str:
    """The cookies of the request; empty if there are none, or if the event has no headers."""
    headers: Mapping[str, str] = event.get("headers") or {}
    return next((value for name, value in headers.items() if name.lower() == "cookie"), "")


def with_session(event: dict[str, Any], session_id: str | None) -> dict[str, Any]:
    """The event with the cookie of this session in place of its own; with None without any cookie."""
    headers = {name: value for name, value in (event.get("headers") or {}).items() if name.lower() != "cookie"}
    multiple = {
        name: values for name, values in (event.get("multiValueHeaders") or {}).items() if name.lower() != "cookie"
    }
    if session_id:
        headers["cookie"] = f"{SESSION_COOKIE}={session_id}"
        multiple["cookie"] = [headers["cookie"]]
    return {**event, "headers": headers, "multiValueHeaders": multiple}


def with_path(event: dict[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """The event with these values of path variables; raises `UsageError` for a variable that its path does not have."""
    resource = event.get("resource") or ""
    variables = {**(event.get("pathParameters") or {})}
    if unknown := sorted(values.keys() - variables.keys()):
        known = f" It has {', '.join(sorted(variables))}." if variables else ""
        raise UsageError(f"The path of {resource or 'this event'} has no variable {unknown[0]}.{known}")
    variables |= values
    path = re.sub(r"{(\w+)}", lambda name: quote(variables[name[1]], safe=""), resource)
    context = {**event["requestContext"], "path": f"/{event['requestContext'].get('stage', STAGE)}{path}"}
    return {**event, "path": path, "pathParameters": variables, "requestContext": context}


def withholding(event: dict[str, Any]) -> dict[str, Any]:
    """The event with the mark with which a queue's function shows messages and publishes none."""
    return {**event, WITHHOLD: True}
