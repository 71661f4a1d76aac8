"""The whole description, operation by operation."""

import functools
import importlib
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
from infra.openapi import schemas, words
from infra.openapi.schemas import Json, Struct
from infra.template_map import Route, routes
from layers.core import errors
from layers.core.endpoint import Signature
from layers.core.errors import PhotogramError, StoreUnavailable, TooMany
from layers.core.models import Admin, UserRef, Verified
from layers.core.response import WRAPPINGS, Problem, SignedIn, SignedOut, problem, status_of

_CLONE: Final = Path(__file__).parents[2]
FILE: Final = _CLONE / "functions" / "docs" / "openapi.json"

type Refusal = type[PhotogramError]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A route, what its handler asks for and answers, and what its file says of it."""

    route: Route
    signature: Signature
    summary: str
    more: str

    @classmethod
    def of(cls, route: Route) -> "Call":
        """The call of a route; imports its handler."""
        module, _, name = route.function.handler.rpartition(".")
        found = importlib.import_module(module)
        first, _, more = inspect.cleandoc(found.__doc__ or "").partition("\n")
        summary = first.partition(": ")[2]
        signature = getattr(found, name).signature
        return cls(route=route, signature=signature, summary=summary[:1].upper() + summary[1:], more=more.strip())

    @property
    def area(self) -> str:
        """The folder of its function."""
        return self.route.function.name.partition("/")[0]

    @property
    def id(self) -> str:
        """What programs call it: `likePost`; an alias is `getTrayAlias`."""
        name = self.route.function.logical_id
        return name[0].lower() + name[1:] + ("Alias" if self.route.is_alias else "")

    @property
    def refusals(self) -> dict[HTTPStatus, list[Refusal]]:
        """What may be refused, by status."""
        known = [words.NOT_FOUND[name] for name, _ in self.signature.path if name in words.NOT_FOUND]
        found: dict[HTTPStatus, dict[Refusal, None]] = {}
        for kind in self.signature.refusals(self.route.method):
            named = known[-1] if kind is errors.NotFound and known else kind
            found.setdefault(status_of(_raised(named)), {})[named] = None
        return {status: list(kinds) for status, kinds in found.items()}

    @property
    def sample(self) -> Json:
        """The event that its function is shown with."""
        return _sample(self.route.function.name)


def document() -> Json:
    """The whole description."""
    calls = [Call.of(route) for route in routes()]
    paths: Json = {}
    responses: Json = {}
    for call in calls:
        refusals = {str(status.value): _refusal(kinds, responses) for status, kinds in call.refusals.items()}
        paths.setdefault(call.route.path, {})[call.route.method.lower()] = _operation(call, calls, refusals)
    sent = [call.signature.body[1] for call in calls if call.signature.body]
    answered: list[Struct] = [Problem, *(answer for call in calls for _, answer in _returned(call.signature.answer))]
    limits = dict.fromkeys(call.signature.limit for call in calls if call.signature.limit)
    limited = [(limit, [call.id for call in calls if call.signature.limit == limit]) for limit in limits]
    tags = [words.TAGS[area] for area in dict.fromkeys(call.area for call in calls)]
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Photogram",
            "version": VERSION,
            "summary": "Accounts, photos, feed and stories.",
            "description": words.introduction(limited),
        },
        "servers": [{"url": "/", "description": "The host that serves this document"}],
        "tags": [{"name": name, "description": text} for name, text in tags],
        "paths": paths,
        "components": {
            "schemas": schemas.components(sent=sent, answered=answered),
            "responses": dict(sorted(responses.items())),
            "parameters": {"IdempotencyKey": words.IDEMPOTENCY_KEY},
            "headers": words.HEADERS,
            "securitySchemes": {"session": words.SESSION},
        },
    }


def written() -> str:
    """The description as it is kept and served."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def _operation(call: Call, calls: Sequence[Call], refusals: Json) -> Json:
    signature = call.signature
    parameters = [_path_parameter(call, name, kind) for name, kind in signature.path]
    parameters += _query_parameters(signature.query) if signature.query else []
    parameters += [{"$ref": "#/components/parameters/IdempotencyKey"}] if signature.new_id else []
    operation: Json = {
        "operationId": call.id,
        "tags": [words.TAGS[call.area][0]],
        "summary": call.summary,
        "description": "\n\n".join(_description(call, calls)),
        "security": _security(signature),
    }
    operation |= {"parameters": parameters} if parameters else {}
    operation |= {"requestBody": body} if (body := _request_body(call)) else {}
    return operation | {"responses": dict(sorted({**_answers(signature), **refusals}.items()))}


def _description(call: Call, calls: Sequence[Call]) -> Iterator[str]:
    """Paragraphs: what the handler's file says, who may call, how often."""
    signature = call.signature
    if call.route.is_alias:
        canonical = next(each for each in calls if each.route.function == call.route.function)
        yield f"An alias: `{canonical.route.method} {canonical.route.path}` by another name, with the same answers."
    if call.more:
        yield call.more
    if signature.viewer is None:
        yield "For anyone." if signature.admits else "For anyone; no session is read and nothing is counted."
    elif signature.viewer_optional:
        yield "For anyone; a session adds what concerns the caller, and lets accepted followers see private accounts."
    else:
        yield {Admin: "For admins.", Verified: "For verified users and admins."}.get(
            signature.viewer, "For whoever is signed in."
        )
    if limit := signature.limit:
        others = [f"`{each.id}`" for each in calls if each.signature.limit == limit and each.route != call.route]
        yield words.rate(limit) + (f", together with {' and '.join(others)}." if others else ".")
        if limit.closed_without_valkey:
            yield "Refused (503) while attempts cannot be counted."


def _security(signature: Signature) -> list[Json]:
    if signature.viewer is None:
        return []
    return [{}, {"session": []}] if signature.viewer_optional else [{"session": []}]


def _path_parameter(call: Call, name: str, kind: type) -> Json:
    what = "account" if name == "user" else name.removesuffix("_id").replace("_", " ")
    shown = {"description": f"The {what}'s id.", "schema": {"type": "string", "format": "uuid"}}
    if kind is UserRef:
        shown = {
            "description": "The account's id, or its username in any case.",
            "schema": {"type": "string", "minLength": 3, "maxLength": 36, "pattern": "^[A-Za-z0-9_-]+$"},
        }
    example = call.sample["pathParameters"][name]
    return {"name": name, "in": "path", "required": True, **shown, "example": example}


def _query_parameters(query: Struct) -> list[Json]:
    schema = schemas.fields(query)
    parameters = []
    for name, field in schema["properties"].items():
        shown = {"description": field.pop("description")} if "description" in field else {}
        parameters.append({"name": name, "in": "query", **shown, "schema": field})
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
    """What comes back when all is well (or, from a probe, when it is not), by status."""
    headers = ["x-trace-id", *(words.LIMIT_HEADERS if signature.admits else ())]
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
    """Statuses and structs that a handler's return annotation holds."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        for each in typing.get_args(kind):
            yield from _returned(each, status)
    elif origin in WRAPPINGS:
        [inner] = typing.get_args(kind)
        yield from _returned(inner, WRAPPINGS[origin] or status)
    else:
        yield status, kind


def _has(kind: Any, *wrappings: type) -> bool:
    return typing.get_origin(kind) in wrappings or any(_has(each, *wrappings) for each in typing.get_args(kind))


def _refusal(kinds: Sequence[Refusal], responses: Json) -> Json:
    """A refusal's response, kept among those that several operations share."""
    name = "Or".join(kind.__name__ for kind in kinds)
    texts = list(dict.fromkeys(str(_raised(kind)) for kind in kinds))
    headers = ["x-trace-id", *words.LIMIT_HEADERS]
    headers += ["Retry-After"] if issubclass(kinds[0], TooMany | StoreUnavailable) else []
    responses[name] = {
        "description": " Or: ".join(texts),
        "headers": _header_refs(headers),
        "content": {
            "application/problem+json": {
                "schema": schemas.ref(Problem),
                "examples": {
                    kind.__name__: {"value": msgspec.json.decode(problem(_raised(kind))[1])} for kind in kinds
                },
            }
        },
    }
    return {"$ref": f"#/components/responses/{name}"}


def _raised(kind: Refusal) -> PhotogramError:
    if issubclass(kind, StoreUnavailable):
        return kind("postgres")
    return kind("general", retry_after=1) if issubclass(kind, TooMany) else kind()


def _header_refs(names: Sequence[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


@functools.cache
def _sample(name: str) -> Json:
    sample: Json = json.loads((_CLONE / "events" / f"{name}.json").read_text())
    return sample
