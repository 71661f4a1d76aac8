"""Rules that the fields of a request's Struct declare beyond their types, applied after decoding.

A declaration is in a field's `Annotated[…]` and has two members: `apply(value, field)` returns the value to use or
raises an error, and `json_schema` describes the rule. `Text`, `FileSize` and `FileType` are such declarations.
`Files` is different: it declares which parts of a form a field holds.
"""

import functools
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

import msgspec

from layers.core import ids
from layers.core.files import File, Files

type StructType = type[msgspec.Struct]


@runtime_checkable
class Declaration(Protocol):
    """A rule for the value of a field."""

    def apply(self, value: Any, field: str) -> Any:
        """The value to use; raises an error naming the field."""

    @property
    def json_schema(self) -> dict[str, Any]:
        """The rule in JSON Schema."""


class Field(msgspec.Struct, frozen=True):
    """The declarations of a field."""

    name: str
    encoded_name: str
    declarations: tuple[Declaration, ...]
    """They apply to the value, or to each item of a sequence."""
    is_sequence: bool
    struct: StructType | None
    """The type of the value, or of the items, if it is a Struct with declarations of its own."""
    files: Files | None
    is_id: bool
    """Whether the value, or each item, is a UUID."""


@functools.cache
def declared_fields(struct: StructType) -> tuple[Field, ...]:
    """The fields that have declarations; the others are checked by their types alone."""
    hints = typing.get_type_hints(struct, include_extras=True)
    names = zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
    fields = (_field(name, encoded_name, hints[name]) for name, encoded_name in names)
    return tuple(field for field in fields if field.declarations or field.struct or field.files or field.is_id)


def apply_declarations(decoded: msgspec.Struct, prefix: str = "") -> None:
    """Check the values and replace them by the cleaned ones, in nested Structs too; raises the declarations' errors."""
    for field in declared_fields(type(decoded)):
        value = getattr(decoded, field.name)
        if value is None or not (field.declarations or field.struct):
            continue
        path = prefix + field.encoded_name
        if field.is_sequence:
            new = type(value)(_apply(field, each, f"{path}[{index}]") for index, each in enumerate(value))
        else:
            new = _apply(field, value, path)
        if new != value:
            msgspec.structs.force_setattr(decoded, field.name, new)


def select_files(struct: StructType, files: Sequence[File]) -> dict[str, object]:
    """The values of a form's file fields, by encoded name; raises `Invalid` for a wrong number of files."""
    values: dict[str, object] = {}
    for field in declared_fields(struct):
        if field.files:
            selected = field.files.select(files)
            values[field.encoded_name] = selected if field.is_sequence else next(iter(selected), None)
    return values


def check_ids(struct: StructType, members: Mapping[str, Any]) -> None:
    """Raise `Invalid` for ids that are not in the form 8-4-4-4-12 (R-V1): msgspec also accepts 32 digits alone."""
    for field in declared_fields(struct):
        if field.is_id and (value := members.get(field.encoded_name)) is not None:
            for each in value if field.is_sequence else [value]:
                ids.parse(each, field.encoded_name)


def _apply(field: Field, value: Any, path: str) -> Any:
    for declaration in field.declarations:
        value = declaration.apply(value, path)
    if field.struct:
        apply_declarations(value, f"{path}.")
    return value


def _field(name: str, encoded_name: str, hint: Any) -> Field:
    metadata, kind = _resolve(hint)
    is_sequence = typing.get_origin(kind) in (list, tuple)
    if is_sequence:
        inner, kind = _resolve(typing.get_args(kind)[0])
        metadata += inner
    struct = kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and declared_fields(kind) else None
    return Field(
        name=name,
        encoded_name=encoded_name,
        declarations=tuple(each for each in metadata if isinstance(each, Declaration)),
        is_sequence=is_sequence,
        struct=struct,
        files=next((each for each in metadata if isinstance(each, Files)), None),
        is_id=kind is UUID,
    )


def _resolve(hint: Any) -> tuple[list[object], Any]:
    """The metadata around a type, and the type itself: aliases are resolved, and None is removed from a union."""
    metadata: list[object] = []
    while True:
        if isinstance(hint, typing.TypeAliasType):
            hint = hint.__value__
        elif hasattr(hint, "__metadata__"):
            metadata += hint.__metadata__
            hint = hint.__origin__
        elif typing.get_origin(hint) in (typing.Union, types.UnionType):
            members = [each for each in typing.get_args(hint) if each is not types.NoneType]
            if len(members) != 1:
                return metadata, hint
            [hint] = members
        else:
            return metadata, hint
