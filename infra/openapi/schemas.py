"""JSON Schemas of the structs in requests and answers."""

import ast
import functools
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import NODEFAULT
from msgspec.inspect import Field, StructType, Type, multi_type_info

from infra.openapi.texts import FIELDS
from layers.core import limits
from layers.entrypoints.declarations import Field as Declared
from layers.entrypoints.declarations import declared_fields

type Json = dict[str, Any]
type Struct = type[msgspec.Struct]


class DuplicateName(Exception):
    """Two structs have the same name, which is the key of a schema."""


def ref(struct: Struct) -> Json:
    """A reference to the struct's schema."""
    return {"$ref": f"#/components/schemas/{struct.__name__}"}


def components(*, bodies: Sequence[Struct], answers: Sequence[Struct]) -> Json:
    """The schemas of all structs and of the structs within them, by name.

    In schemas of answers, the fields that an answer always contains are required. Raises `DuplicateName`.
    """
    _, schemas = msgspec.json.schema_components([*bodies, *answers], ref_template="#/components/schemas/{name}")
    if duplicates := schemas.keys() - {each.cls.__name__ for each in _structs([*bodies, *answers])}:
        raise DuplicateName(", ".join(sorted(duplicates)))
    for struct in _structs(bodies):
        _add_texts(schemas[struct.cls.__name__], struct)
    for struct in _structs(answers):
        schema = schemas[struct.cls.__name__]
        _add_texts(schema, struct)
        schema["required"] = [field.encode_name for field in struct.fields if _is_always_present(struct, field)]
        for field in schema["properties"].values():
            field.pop("default", None)
    return {name: _merge_null(schema) for name, schema in sorted(schemas.items())}


def fields(struct: Struct) -> Json:
    """The schema of a query or a form, in which a field can be left out but cannot be null."""
    schema: Json = msgspec.json.schema_components([struct])[1][struct.__name__]
    _add_texts(schema, next(_structs([struct])))
    for field in schema["properties"].values():
        if "anyOf" in field:
            [only] = (each for each in field.pop("anyOf") if each != {"type": "null"})
            field.update(only)
            field.pop("default")
    return schema


def form(struct: Struct) -> Json:
    """The media type object of a form: its text fields, and its files.

    A second name of the files is only mentioned: a page that offers it as a field sends it empty beside the first.
    """
    schema = fields(struct)
    declared = [field for field in declared_fields(struct) if field.files]
    for field in declared:
        del schema["properties"][field.encoded_name]
    files = {field.files.names[0]: _files(field) for field in declared if field.files}
    schema["properties"] = files | schema["properties"]
    schema["required"] = [field.files.names[0] for field in declared if field.files and field.files.at_least]
    encoding = {name: {"contentType": ", ".join(limits.FILE_TYPES)} for name in files}
    for name, text in schema["properties"].items():
        if "contentSchema" in text:  # then pages offer the value, and encode it
            encoding[name] = {"contentType": text["contentMediaType"]}
            schema["properties"][name] = {**text["contentSchema"], "description": text["description"]}
    return {"schema": schema, "encoding": encoding}


def _files(field: Declared) -> Json:
    """The property of a field's files."""
    parts = field.files
    assert parts  # noqa: S101 (for the type checker)
    one = {"type": "string", "format": "binary", "description": "JPEG, PNG, WebP or HEIC, at most 10 MiB."}
    further = "".join(f" The name `{alias}` is accepted too." for alias in parts.names[1:])
    if not field.is_sequence:
        return {**one, "description": one["description"] + further}
    pictures = f"{parts.at_least} to {parts.at_most} pictures, in the order in which they are shown."
    return {
        "type": "array",
        "items": one,
        "minItems": parts.at_least,
        "maxItems": parts.at_most,
        "description": pictures + further,
    }


def _is_always_present(struct: StructType, field: Field) -> bool:
    """Whether an answer always contains the field: it cannot be UNSET, and defaults are not omitted."""
    has_default = field.default is not NODEFAULT or field.default_factory is not NODEFAULT
    return field.required or (has_default and not struct.cls.__struct_config__.omit_defaults)


def _structs(kinds: Sequence[Struct]) -> Iterator[StructType]:
    """These structs and all structs within them, each once."""
    seen: set[type] = set()
    pending: list[Any] = [*reversed(multi_type_info(kinds))]
    while pending:
        kind = pending.pop()
        if isinstance(kind, StructType):
            if kind.cls in seen:
                continue
            seen.add(kind.cls)
            yield kind
        if isinstance(kind, tuple):
            pending += kind
        elif isinstance(kind, Type | Field):
            pending += (getattr(kind, name) for name in kind.__struct_fields__)


def _add_texts(schema: Json, struct: StructType) -> None:
    """Add what the struct's fields declare, descriptions and examples to their schemas."""
    for declared in declared_fields(struct.cls):
        for declaration in declared.declarations:
            property_ = schema["properties"][declared.encoded_name]
            (property_["items"] if declared.is_sequence else property_).update(declaration.json_schema)
    docstrings = _field_docstrings(struct.cls)
    for field in struct.fields:
        text, example = FIELDS.get(field.encode_name, ("", None))
        property_ = schema["properties"][field.encode_name]
        if text := docstrings.get(field.name, text):
            property_["description"] = text
        if example is not None and "$ref" not in property_:
            property_.setdefault("examples", [example])


@functools.cache
def _field_docstrings(struct: type) -> dict[str, str]:
    """The string literals below a class's fields and below those that it inherits, by the field's name."""
    docstrings: dict[str, str] = {}
    for each in reversed(struct.__mro__):
        if not issubclass(each, msgspec.Struct) or each.__module__.startswith("msgspec"):
            continue
        [defined] = ast.parse(inspect.getsource(each)).body
        assert isinstance(defined, ast.ClassDef)  # noqa: S101 (for the type checker)
        for field, below in zip(defined.body, defined.body[1:], strict=False):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    docstrings[name] = inspect.cleandoc(text)
    return docstrings


def _merge_null(schema: Any) -> Any:
    """The schema with `anyOf` of a type and null replaced by a list of two types."""
    if isinstance(schema, list):
        return [_merge_null(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    match schema:
        case {"anyOf": [{"type": str(kind), **rest}, {"type": "null"}]} if "enum" not in rest:
            schema = {"type": [kind, "null"], **rest, **{name: schema[name] for name in schema if name != "anyOf"}}
    return {name: _merge_null(value) for name, value in schema.items()}
