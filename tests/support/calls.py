"""Calling a handler as its hosts do: with its sample event, and what a test lays over it."""

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

EVENTS = Path(__file__).parents[2] / "events"


class Reply(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


class Upload(msgspec.Struct, frozen=True):
    """A file of a form."""

    data: bytes
    field: str = "media"
    name: str = "photo.jpg"
    declared: str = "image/jpeg"


type Form = tuple[Sequence[Upload], Mapping[str, str]]
"""The files and texts of a multipart body."""


def sample(module: ModuleType) -> dict[str, Any]:
    """The sample event of a function."""
    area, name = module.__name__.split(".")[-2:]
    event: dict[str, Any] = json.loads((EVENTS / area / f"{name}.json").read_text())
    return event


def call(
    module: ModuleType,
    *,
    session_id: str | None = None,
    path: Mapping[str, object] | None = None,
    query: Mapping[str, object] | None = None,
    body: object = None,
    form: Form | None = None,
    headers: Mapping[str, str] | None = None,
    address: str = "192.0.2.1",
) -> Reply:
    """One request to an HTTP handler; what is not given has nothing of the sample but method and path."""
    event = sample(module)
    sent = {name.lower(): value for name, value in (headers or {}).items()}
    if session_id:
        sent["cookie"] = f"session_id={session_id}"
    event["pathParameters"] = {name: str(value) for name, value in (path or {}).items()} or None
    event["queryStringParameters"] = {name: str(value) for name, value in (query or {}).items()} or None
    event["multiValueQueryStringParameters"] = {name: [str(value)] for name, value in (query or {}).items()} or None
    event["requestContext"].setdefault("identity", {})["sourceIp"] = address
    event["body"], event["isBase64Encoded"] = None, False
    if form is not None:
        boundary, content = multipart(*form)
        sent["content-type"] = f"multipart/form-data; boundary={boundary}"
        event["body"], event["isBase64Encoded"] = base64.b64encode(content).decode(), True
    elif body is not None:
        sent.setdefault("content-type", "application/json")
        event["body"] = body if isinstance(body, str) else msgspec.json.encode(body).decode()
    event["headers"] = sent
    event["multiValueHeaders"] = {name: [value] for name, value in sent.items()}
    reply = module.handler(event, None)
    content = reply["body"].encode()
    return Reply(status=reply["statusCode"], headers=reply["headers"], body=content)


def multipart(files: Sequence[Upload], texts: Mapping[str, str]) -> tuple[str, bytes]:
    """Boundary and body of a form: files first, text after, as browsers append them."""
    boundary = secrets.token_hex(16)
    parts = [
        (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{file.field}"; filename="{file.name}"\r\n'
            f"Content-Type: {file.declared}\r\n\r\n"
        ).encode()
        + file.data
        + b"\r\n"
        for file in files
    ]
    parts += [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()
        for name, text in texts.items()
    ]
    return boundary, b"".join(parts) + f"--{boundary}--\r\n".encode()
