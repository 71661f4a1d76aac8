"""The event of an invocation: where it comes from, and what is laid over it."""

import contextlib
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from infra import demo
from infra.events import recorded, redaction
from infra.events.rest import STAGE
from infra.invoke.names import UsageError
from infra.template_map import Function
from layers.entrypoints.request import SESSION_COOKIE
from layers.rabbitmq.messages import WITHHOLD

EVENTS = Path(__file__).parents[2] / "events"


def read_event(source: str | None, function: Function, recordings: Path | None = None) -> dict[str, Any]:
    """The event in a file, in standard input (`-`), or the function's sample (None); raises `UsageError`.

    `last`, and the name of no file, is that of a recording in the folder `recordings`, if it is given.
    """
    if recordings and source and source != "-" and not Path(source).is_file():
        return _read_recording(recordings, function, source)
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


def _read_recording(recordings: Path, function: Function, wanted: str) -> dict[str, Any]:
    try:
        recording = recorded.read_event(recordings, function.name, wanted)
    except LookupError as error:
        raise UsageError(f"{error.args[0]}\nThere is no file {wanted} either.") from None
    return recording.event


def with_password(event: dict[str, Any]) -> dict[str, Any]:
    """The event with the password of a demo account that was removed from its body when it was recorded.

    Raises `UsageError` for anything else that its body lacks.
    """
    body = event.get("body") or ""
    if body == redaction.CUT:
        raise UsageError("The body of this event was too long to be kept, so it cannot be repeated.")
    if redaction.REMOVED not in body:
        return event
    members = {}
    with contextlib.suppress(ValueError):
        members = json.loads(body)
    if members.get("username") in [each.username for each in demo.MEMBERS] and "password" in members:
        body = json.dumps(members | {"password": demo.PASSWORD})
    if redaction.REMOVED in body:
        raise UsageError(
            f"A password or an e-mail address was removed from the body of this event: save it with `make events`, "
            f"replace {redaction.REMOVED}, and give the file to EVENT."
        )
    return {**event, "body": body}


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
