"""JSON Schemas of the structs that requests and answers carry."""

import ast
import functools
import inspect
import typing
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import NODEFAULT
from msgspec.inspect import Field, StructType, Type, multi_type_info

from infra.openapi.words import FIELDS
from layers.core import limits
from layers.core.multipart import Parts

type Json = dict[str, Any]
type Struct = type[msgspec.Struct]


class NamedTwice(Exception):
    """Two structs have one name: readers could not tell them apart."""


def ref(struct: Struct) -> Json:
    """Where the struct's schema stands."""
    return {"$ref": f"#/components/schemas/{struct.__name__}"}


def components(*, sent: Sequence[Struct], answered: Sequence[Struct]) -> Json:
    """The schemas of all these and of what they hold, by name; those of answers with all that they always have."""
    _, schemas = msgspec.json.schema_components([*sent, *answered], ref_template="#/components/schemas/{name}")
    if unclear := schemas.keys() - {each.cls.__name__ for each in _structs([*sent, *answered])}:
        raise NamedTwice(", ".join(sorted(unclear)))
    for struct in _structs(sent):
        _tell(schemas[struct.cls.__name__], struct)
    for struct in _structs(answered):
        schema = schemas[struct.cls.__name__]
        _tell(schema, struct)
        schema["required"] = [field.encode_name for field in struct.fields if _is_always_there(struct, field)]
        for field in schema["properties"].values():
            field.pop("default", None)
    return {name: _tidied(schema) for name, schema in sorted(schemas.items())}


def fields(struct: Struct) -> Json:
    """A struct that is no JSON, a query or a form: null cannot be sent there, only nothing."""
    schema: Json = msgspec.json.schema_components([struct])[1][struct.__name__]
    _tell(schema, next(_structs([struct])))
    for field in schema["properties"].values():
        if "anyOf" in field:
            [only] = (each for each in field.pop("anyOf") if each != {"type": "null"})
            field.update(only)
            field.pop("default")
    return schema


def form(struct: Struct) -> Json:
    """The media type of a form: its texts, and its files under the names by which they are read."""
    schema = fields(struct)
    del schema["properties"]["files"]
    hint = typing.get_type_hints(struct, include_extras=True)["files"]
    [parts] = (each for each in hint.__metadata__ if isinstance(each, Parts))
    files = _files(parts)
    schema["properties"] = files | schema["properties"]
    schema["required"] = list(parts.names[:1]) if parts.at_least else []
    return {"schema": schema, "encoding": {name: {"contentType": ", ".join(limits.FILE_TYPES)} for name in files}}


def _files(parts: Parts) -> Json:
    one = {"type": "string", "format": "binary", "description": "JPEG, PNG, WebP or HEIC, at most 10 MiB."}
    several = {
        "type": "array",
        "items": one,
        "minItems": parts.at_least,
        "maxItems": parts.at_most,
        "description": f"{parts.at_least} to {parts.at_most} pictures, in the order in which they are to be shown.",
    }
    name, *aliases = parts.names
    sent = one if parts.at_most == 1 else several
    return {name: sent} | {alias: {**sent, "description": f"Another name for `{name}`."} for alias in aliases}


def _is_always_there(struct: StructType, field: Field) -> bool:
    """Whether an answer always has the field: it cannot be UNSET, and no default is left out."""
    has_default = field.default is not NODEFAULT or field.default_factory is not NODEFAULT
    return field.required or (has_default and not struct.cls.__struct_config__.omit_defaults)


def _structs(kinds: Sequence[Struct]) -> Iterator[StructType]:
    """These structs and all within them, each once."""
    seen: set[type] = set()
    ahead: list[Any] = [*reversed(multi_type_info(kinds))]
    while ahead:
        kind = ahead.pop()
        if isinstance(kind, StructType):
            if kind.cls in seen:
                continue
            seen.add(kind.cls)
            yield kind
        if isinstance(kind, tuple):
            ahead += kind
        elif isinstance(kind, Type | Field):
            ahead += (getattr(kind, name) for name in kind.__struct_fields__)


def _tell(schema: Json, struct: StructType) -> None:
    """Say what the struct's fields mean, and how they look."""
    texts = _field_docs(struct.cls)
    for field in struct.fields:
        text, example = FIELDS.get(field.encode_name, ("", None))
        shown = schema["properties"][field.encode_name]
        if text := texts.get(field.name, text):
            shown["description"] = text
        if example is not None and "$ref" not in shown:
            shown.setdefault("examples", [example])


@functools.cache
def _field_docs(struct: type) -> dict[str, str]:
    """The texts that stand below a class's fields, and below those that it inherits."""
    texts: dict[str, str] = {}
    for each in reversed(struct.__mro__):
        if not issubclass(each, msgspec.Struct) or each.__module__.startswith("msgspec"):
            continue
        [defined] = ast.parse(inspect.getsource(each)).body
        assert isinstance(defined, ast.ClassDef)  # noqa: S101 (for the type checker)
        for field, below in zip(defined.body, defined.body[1:], strict=False):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    texts[name] = inspect.cleandoc(text)
    return texts


def _tidied(schema: Any) -> Any:
    """The schema with `anyOf` a type and null written as two types."""
    if isinstance(schema, list):
        return [_tidied(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    match schema:
        case {"anyOf": [{"type": str(kind), **rest}, {"type": "null"}]} if "enum" not in rest:
            schema = {"type": [kind, "null"], **rest, **{name: schema[name] for name in schema if name != "anyOf"}}
    return {name: _tidied(value) for name, value in schema.items()}
