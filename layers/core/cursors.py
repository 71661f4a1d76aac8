"""Opaque cursors, signed and bound to one viewer and one list (R-F3, R-F6)."""

import base64
import hashlib
import hmac
from uuid import UUID

import msgspec

from layers.core.errors import Invalid
from layers.core.settings import settings

_SIGNATURE_BYTES = 12


def encode(query: str, viewer_id: UUID | None, keys: tuple[object, ...]) -> str:
    """The cursor of the row with these sort keys; its characters need no escaping in a URL."""
    payload = msgspec.msgpack.encode(keys)
    return _text(_signature(payload, query, viewer_id) + payload)


def decode[Keys](cursor: str, query: str, viewer_id: UUID | None, keys: type[Keys]) -> Keys:
    """The sort keys in a cursor; raises `Invalid` for one that was altered, or made for another viewer or list."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        is_valid = hmac.compare_digest(signature, _signature(payload, query, viewer_id))
        if is_valid and cursor == _text(raw):  # the unused bits of the last character could be changed
            return msgspec.msgpack.decode(payload, type=keys)
    except (ValueError, msgspec.DecodeError):
        pass
    raise Invalid.field("cursor", "not a cursor of this list; use `nextCursor` of the previous page")


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _signature(payload: bytes, query: str, viewer_id: UUID | None) -> bytes:
    bound_to = f"{query}|{viewer_id}|".encode()
    return hmac.digest(settings().cursor_secret.encode(), bound_to + payload, hashlib.sha256)[:_SIGNATURE_BYTES]
