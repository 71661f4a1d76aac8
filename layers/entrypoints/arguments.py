"""A handler's arguments, decoded from the request as its signature declares them."""

import re
from typing import Any, Final
from uuid import UUID

import msgspec

from layers.core import ids, untrusted_json
from layers.core.errors import FieldError, Invalid
from layers.core.models import UserRef
from layers.entrypoints.declarations import apply_declarations, check_ids, select_files
from layers.entrypoints.request import Request
from layers.entrypoints.signature import Signature

_EMPTY: Final = b"{}"
_COMPACT_ID: Final = re.compile(rb'"[0-9a-fA-F]{32}"')
"""An id that msgspec accepts and R-V1 does not."""


def read_arguments(request: Request, signature: Signature) -> dict[str, object]:
    """Path variables, query, form and body by parameter name; raises `Invalid`, `TooLarge` or `UnsupportedImage`."""
    arguments: dict[str, object] = {name: _path_value(name, kind, request) for name, kind in signature.path}
    if signature.query is not None:
        arguments["query"] = convert(dict(request.query), signature.query)
    takes_both = signature.form is not None and signature.body is not None
    if signature.body is not None:
        name, kind = signature.body
        arguments[name] = None if takes_both and request.is_multipart else _read_body(request, kind)
    if signature.form is not None:
        arguments["form"] = None if takes_both and not request.is_multipart else _read_form(request, signature.form)
    if signature.takes_request:
        arguments[signature.takes_request] = request
    return arguments


def _path_value(name: str, kind: type, request: Request) -> object:
    value = request.path_parameters[name]
    if kind is UUID:
        return ids.parse(value, name)
    if kind is UserRef:
        return UserRef.parse(value)
    return value


def _read_body[Kind: msgspec.Struct](request: Request, kind: type[Kind]) -> Kind:
    """The body, JSON or a URL-encoded form; an empty body has no members."""
    if request.is_urlencoded:
        return convert(request.urlencoded, kind)
    text = request.json_text or _EMPTY
    try:
        decoded = untrusted_json.decode(text, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _refusal(error) from None
    if _COMPACT_ID.search(text):
        check_ids(kind, msgspec.json.decode(text))
    apply_declarations(decoded)
    return decoded


def _read_form[Kind: msgspec.Struct](request: Request, kind: type[Kind]) -> Kind:
    form = request.form
    return convert({**form.texts, **select_files(kind, form.files)}, kind)


def convert[Kind: msgspec.Struct](members: dict[str, Any], kind: type[Kind]) -> Kind:
    """Convert members to a Struct and apply its declarations; raises `Invalid` naming the field."""
    try:
        converted = msgspec.convert(members, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _refusal(error) from None
    check_ids(kind, members)
    apply_declarations(converted)
    return converted


def _refusal(error: msgspec.ValidationError) -> Invalid:
    detail, _, path = str(error).partition(" - at `$")
    field = path.strip(".`") or _missing_field(detail)
    if not field:
        return Invalid("The body must be a JSON object.")
    return Invalid(f"{field}: {detail}", errors=(FieldError(field, detail),))


def _missing_field(detail: str) -> str:
    quoted = detail.split("`")
    return quoted[1] if "missing required field" in detail and len(quoted) > 1 else ""
