"""The description, built operation by operation."""

import functools
import inspect
import json
import types
import typing
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import msgspec

from functions.health.get_detailed import VERSION
from infra.environments import handlers
from infra.openapi import schemas, texts
from infra.openapi.schemas import Json, Struct
from infra.template_map import Route, routes
from layers.core import errors
from layers.core.errors import PhotogramError, StoreUnavailable, TooMany
from layers.core.models import Admin, UserRef, Verified
from layers.entrypoints.response import WRAPPERS, Problem, SignedIn, SignedOut, describe_problem, status_of
from layers.entrypoints.signature import Signature

_CLONE: Final = Path(__file__).parents[2]
FILE: Final = _CLONE / "functions" / "docs" / "openapi.json"

type Refusal = type[PhotogramError]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A route with its handler's signature and the docstring of the handler's file."""

    route: Route
    signature: Signature
    summary: str
    """The first line of the docstring, without the trigger."""
    details: str
    """The other paragraphs of the docstring."""

    @classmethod
    def of(cls, route: Route) -> "Call":
        """The call of a route; imports its handler."""
        docstring = handlers.import_module(route.function.handler).__doc__
        first, _, details = inspect.cleandoc(docstring or "").partition("\n")
        summary = first.partition(": ")[2]
        signature: Signature = handlers.load(route.function.handler).signature  # type: ignore[attr-defined]
        summary = summary[:1].upper() + summary[1:]
        return cls(route=route, signature=signature, summary=summary, details=details.strip())

    @property
    def area(self) -> str:
        """The folder of its function."""
        return self.route.function.name.partition("/")[0]

    @property
    def id(self) -> str:
        """The operation's id: `likePost`, or `getTrayAlias` for an alias."""
        name = self.route.function.logical_id
        return name[0].lower() + name[1:] + ("Alias" if self.route.is_alias else "")

    @property
    def refusals(self) -> dict[HTTPStatus, list[Refusal]]:
        """The errors that the operation can answer, by status."""
        not_found = [texts.NOT_FOUND[name] for name, _ in self.signature.path if name in texts.NOT_FOUND]
        by_status: dict[HTTPStatus, dict[Refusal, None]] = {}
        for error in self.signature.refusals(self.route.method):
            specific = not_found[-1] if error is errors.NotFound and not_found else error
            by_status.setdefault(status_of(_example(specific)), {})[specific] = None
        return {status: list(refusals) for status, refusals in by_status.items()}

    @property
    def sample(self) -> Json:
        """The sample event of the function."""
        return _sample(self.route.function.name)


def document() -> Json:
    """The whole description."""
    calls = [Call.of(route) for route in routes()]
    paths: Json = {}
    responses: Json = {}
    for call in calls:
        refusals = {str(status.value): _refusal(kinds, responses) for status, kinds in call.refusals.items()}
        paths.setdefault(call.route.path, {})[call.route.method.lower()] = _operation(call, calls, refusals)
    bodies = [call.signature.body[1] for call in calls if call.signature.body]
    answers: list[Struct] = [Problem, *(answer for call in calls for _, answer in _returned(call.signature.answer))]
    limits = dict.fromkeys(call.signature.limit for call in calls if call.signature.limit)
    operations = [(limit, [call.id for call in calls if call.signature.limit == limit]) for limit in limits]
    tags = [texts.TAGS[area] for area in dict.fromkeys(call.area for call in calls)]
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Photogram",
            "version": VERSION,
            "summary": "Accounts, photos, feed and stories.",
            "description": texts.introduction(operations),
        },
        "servers": [{"url": "/", "description": "The host that serves this document"}],
        "tags": [{"name": name, "description": text} for name, text in tags],
        "paths": paths,
        "components": {
            "schemas": schemas.components(bodies=bodies, answers=answers),
            "responses": dict(sorted(responses.items())),
            "parameters": {"IdempotencyKey": texts.IDEMPOTENCY_KEY},
            "headers": texts.HEADERS,
            "securitySchemes": {"session": texts.SESSION},
        },
    }


def serialize() -> str:
    """The description as JSON text, as it is stored in FILE."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def _operation(call: Call, calls: Sequence[Call], refusals: Json) -> Json:
    signature = call.signature
    parameters = [_path_parameter(call, name, kind) for name, kind in signature.path]
    parameters += _query_parameters(signature.query) if signature.query else []
    parameters += [{"$ref": "#/components/parameters/IdempotencyKey"}] if signature.new_id else []
    operation: Json = {
        "operationId": call.id,
        "tags": [texts.TAGS[call.area][0]],
        "summary": call.summary,
        "description": "\n\n".join(_description(call, calls)),
        "security": _security(signature),
    }
    operation |= {"parameters": parameters} if parameters else {}
    operation |= {"requestBody": body} if (body := _request_body(call)) else {}
    return operation | {"responses": dict(sorted({**_answers(signature), **refusals}.items()))}


def _description(call: Call, calls: Sequence[Call]) -> Iterator[str]:
    """The paragraphs of an operation's description: the docstring's, who may call, and how often."""
    signature = call.signature
    if call.route.is_alias:
        canonical = next(each for each in calls if each.route.function == call.route.function)
        yield f"An alias of `{canonical.route.method} {canonical.route.path}` with the same answers."
    if call.details:
        yield call.details
    if signature.viewer is None:
        yield "For everyone." if signature.admits else "For everyone. No session is read, and no rate limit applies."
    elif signature.viewer_optional:
        yield "For everyone. A session adds fields about the caller, and shows private accounts to accepted followers."
    else:
        yield {Admin: "For admins.", Verified: "For verified users and admins."}.get(
            signature.viewer, "For signed-in users."
        )
    if limit := signature.limit:
        others = [f"`{each.id}`" for each in calls if each.signature.limit == limit and each.route != call.route]
        yield texts.rate(limit) + (f", counted together with {' and '.join(others)}." if others else ".")
        if limit.closed_without_valkey:
            yield "Answers 503 while Valkey, which counts the requests, is not available."


def _security(signature: Signature) -> list[Json]:
    if signature.viewer is None:
        return []
    return [{}, {"session": []}] if signature.viewer_optional else [{"session": []}]


def _path_parameter(call: Call, name: str, kind: type) -> Json:
    entity = "account" if name == "user" else name.removesuffix("_id").replace("_", " ")
    parameter = {"description": f"The {entity}'s id.", "schema": {"type": "string", "format": "uuid"}}
    if kind is UserRef:
        parameter = {
            "description": "The account's id, or its username in any case.",
            "schema": {"type": "string", "minLength": 3, "maxLength": 36, "pattern": "^[A-Za-z0-9_-]+$"},
        }
    example = call.sample["pathParameters"][name]
    return {"name": name, "in": "path", "required": True, **parameter, "example": example}


def _query_parameters(query: Struct) -> list[Json]:
    schema = schemas.fields(query)
    parameters = []
    for name, field in schema["properties"].items():
        description = {"description": field.pop("description")} if "description" in field else {}
        parameters.append({"name": name, "in": "query", **description, "schema": field})
    return parameters


def _request_body(call: Call) -> Json | None:
    form, body = call.signature.form, call.signature.body
    content: Json = {}
    if form is not None:
        content["multipart/form-data"] = schemas.form(form)
    if body is not None:
        content["application/json"] = {"schema": schemas.ref(body[1])}
        sample = call.sample["body"] if form is None else None
        content["application/json"] |= {"example": json.loads(sample)} if sample else {}
    return {"required": True, "content": content} if content else None


def _answers(signature: Signature) -> Json:
    """The answers that a handler returns, by status; only health checks return one that reports a failure."""
    headers = ["x-trace-id", *(texts.LIMIT_HEADERS if signature.admits else ())]
    sets_cookie = signature.takes_viewer or _has(signature.answer, SignedIn, SignedOut)
    headers += ["Set-Cookie"] if sets_cookie else []
    headers += ["Idempotent-Replayed"] if signature.new_id else []
    return {
        str(status.value): {
            "description": inspect.getdoc(answer),
            "headers": _header_refs(headers),
            "content": {"application/json": {"schema": schemas.ref(answer)}},
        }
        for status, answer in _returned(signature.answer)
    }


def _returned(kind: Any, status: HTTPStatus = HTTPStatus.OK) -> Iterator[tuple[HTTPStatus, Struct]]:
    """The statuses and structs in a handler's return annotation."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        for each in typing.get_args(kind):
            yield from _returned(each, status)
    elif origin in WRAPPERS:
        [inner] = typing.get_args(kind)
        yield from _returned(inner, WRAPPERS[origin] or status)
    else:
        yield status, kind


def _has(kind: Any, *wrappings: type) -> bool:
    return typing.get_origin(kind) in wrappings or any(_has(each, *wrappings) for each in typing.get_args(kind))


def _refusal(kinds: Sequence[Refusal], responses: Json) -> Json:
    """A reference to the response for these errors, which is added to `responses`."""
    name = "Or".join(kind.__name__ for kind in kinds)
    messages = list(dict.fromkeys(str(_example(kind)) for kind in kinds))
    headers = ["x-trace-id", *texts.LIMIT_HEADERS]
    headers += ["Retry-After"] if issubclass(kinds[0], TooMany | StoreUnavailable) else []
    responses[name] = {
        "description": " Or: ".join(messages),
        "headers": _header_refs(headers),
        "content": {
            "application/problem+json": {
                "schema": schemas.ref(Problem),
                "examples": {
                    kind.__name__: {"value": msgspec.json.decode(describe_problem(_example(kind))[1])} for kind in kinds
                },
            }
        },
    }
    return {"$ref": f"#/components/responses/{name}"}


def _example(kind: Refusal) -> PhotogramError:
    """An instance of the error, for its message and its document."""
    if issubclass(kind, StoreUnavailable):
        return kind("postgres")
    return kind("general", retry_after=1) if issubclass(kind, TooMany) else kind()


def _header_refs(names: Sequence[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


@functools.cache
def _sample(name: str) -> Json:
    sample: Json = json.loads((_CLONE / "events" / f"{name}.json").read_text())
    return sample
