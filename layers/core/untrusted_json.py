"""Decoding of JSON from outside the system, with a limit on its depth.

The decoder recurses for each level of nesting, also in members that it skips. With the small stacks of server threads
some thousand levels crash the process, so the depth is checked before decoding.
"""

import re
from types import UnionType
from typing import Any, Final, overload

import msgspec

from layers.core.errors import Invalid

DEPTH: Final = 32
"""Levels of arrays and objects; no request of the API needs more than 3."""

_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


@overload
def decode[Kind](data: bytes, kind: type[Kind], *, strict: bool = True) -> Kind: ...
@overload
def decode(data: bytes, kind: UnionType, *, strict: bool = True) -> Any: ...
def decode(data: bytes, kind: Any, *, strict: bool = True) -> Any:
    """Decode a JSON text.

    Raises `Invalid` if it is nested more than 32 levels deep, or is not JSON; `msgspec.ValidationError` if it is JSON
    but not a `kind`. With `strict=False` numbers and booleans may be written as strings.
    """
    if data.count(b"[") + data.count(b"{") > DEPTH and _depth(data) > DEPTH:
        raise Invalid(f"The JSON text is nested more than {DEPTH} levels deep.")
    try:
        return msgspec.json.decode(data, type=kind, strict=strict)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"The body is not valid JSON: {error}") from None


def _depth(data: bytes) -> int:
    """The deepest level of nesting; brackets in strings do not count."""
    depth = deepest = 0
    for token in _TOKEN.finditer(data):
        first = token[0][:1]
        if first in b"[{":
            depth += 1
            deepest = max(deepest, depth)
            if deepest > DEPTH:
                break
        elif first in b"]}":
            depth -= 1
    return deepest
