"""What a handler needs and answers, read from its signature (docs/decisions/0004-signature-is-the-contract.md).

- `viewer: Viewer` requires a session, `Verified` and `Admin` require a role, `Viewer | None` requires nothing.
- A `Request` parameter gets the request itself.
- A `NewId` parameter gets the id of what is created; such requests may have an `Idempotency-Key`.
- A Struct named `query` gets the query, one named `form` the multipart form, and any other the JSON body. If form and
  body are both optional, one of them is filled, by the type of the body.
- A `Prefetched | None` parameter gets the reply to the call to Valkey that the decorator's `prefetch` gives.
- Any other parameter is a variable of the path.
"""

import inspect
import types
import typing
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import msgspec

from layers.core.errors import (
    ForeignOrigin,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    ImageTooLarge,
    Invalid,
    NotAllowed,
    NotFound,
    PhotogramError,
    SignInRequired,
    StoreUnavailable,
    TooLarge,
    TooMany,
    UnreadableImage,
    UnsupportedImage,
)
from layers.core.ids import NewId
from layers.core.limits import Limit
from layers.core.models import Admin, Role, Verified, Viewer
from layers.core.prefetched import Prefetched
from layers.entrypoints import cors
from layers.entrypoints.request import Request

type Handler = Callable[..., object]
type Refusals = tuple[type[PhotogramError], ...]
type Prefetch = Callable[..., object]

ROLES: Final[dict[type[Viewer], tuple[Role, ...]]] = {
    Viewer: ("user", "verified", "admin"),
    Verified: ("verified", "admin"),
    Admin: ("admin",),
}
"""The roles that each type of viewer accepts."""


class Signature(msgspec.Struct, frozen=True):
    """The signature of a handler, and what its decorator declares."""

    viewer: type[Viewer] | None = None
    viewer_optional: bool = True
    takes_viewer: bool = False
    takes_request: str | None = None
    path: tuple[tuple[str, type], ...] = ()
    query: type[msgspec.Struct] | None = None
    form: type[msgspec.Struct] | None = None
    body: tuple[str, type[msgspec.Struct]] | None = None
    new_id: str | None = None
    prefetched: str | None = None
    prefetch: Prefetch | None = None
    """Gives the function's first call to Valkey, from the viewer's id and the function's arguments."""
    answer: object = None
    limit: Limit | None = None
    admits: bool = True
    """Whether session and rate limits are checked: true for all but health probes."""
    raises: Refusals = ()

    @classmethod
    def of(cls, handler: Handler, **decorated: Any) -> "Signature":
        """The signature of a handler; `decorated` are the values that its decorator declares."""
        hints = typing.get_type_hints(handler)
        found: dict[str, Any] = {"answer": hints.pop("return", None)}
        path: list[tuple[str, type]] = []
        for name in inspect.signature(handler).parameters:
            kind = hints[name]
            if kind is NewId:
                found["new_id"] = name
                continue
            optional = isinstance(kind, types.UnionType)
            kind = next(part for part in typing.get_args(kind) if part is not types.NoneType) if optional else kind
            if kind is Prefetched:
                found["prefetched"] = name
            elif issubclass(kind, Viewer):
                found |= {"viewer": kind, "viewer_optional": optional, "takes_viewer": True}
            elif kind is Request:
                found["takes_request"] = name
            elif issubclass(kind, msgspec.Struct):
                found[name if name in ("query", "form") else "body"] = (
                    kind if name in ("query", "form") else (name, kind)
                )
            else:
                path.append((name, kind))
        return cls(path=tuple(path), **found, **decorated)

    def refusals(self, method: str) -> Refusals:
        """The errors that a caller may get, except 500."""
        sends = self.body is not None or self.form is not None
        parses = sends or self.query is not None or self.new_id is not None or UUID in dict(self.path).values()
        kinds: list[type[PhotogramError]] = [*self.raises]
        kinds += [Invalid] if parses else []
        kinds += [SignInRequired] if not self.viewer_optional else []
        kinds += [NotAllowed] if self.viewer in (Verified, Admin) else []
        kinds += [ForeignOrigin] if method in cors.UNSAFE_METHODS else []
        kinds += [NotFound] if self.path else []
        kinds += [TooLarge] if sends else []
        kinds += [UnsupportedImage, ImageTooLarge, UnreadableImage] if self.form is not None else []
        kinds += [IdempotencyKeyInUse, IdempotencyKeyReused] if self.new_id is not None else []
        kinds += [TooMany, StoreUnavailable] if self.admits else []
        return tuple(kinds)
