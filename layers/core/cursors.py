"""Opaque cursors: signed, bound to the viewer and the query they were made for."""

import base64
import hashlib
import hmac
from uuid import UUID

import msgspec

from layers.core.errors import Invalid
from layers.core.settings import settings

_SIGNATURE_BYTES = 12


def written(query: str, viewer_id: UUID | None, keys: tuple[object, ...]) -> str:
    """A cursor for the row with these sort keys, of characters that need no escaping in a URL."""
    payload = msgspec.msgpack.encode(keys)
    return _text(_signature(payload, query, viewer_id) + payload)


def read[Keys](cursor: str, query: str, viewer_id: UUID | None, keys: type[Keys]) -> Keys:
    """The sort keys inside; an altered or foreign cursor raises `Invalid`."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        is_ours = hmac.compare_digest(signature, _signature(payload, query, viewer_id))
        if is_ours and cursor == _text(raw):  # its last character may hold bits that no byte needs
            return msgspec.msgpack.decode(payload, type=keys)
    except (ValueError, msgspec.DecodeError):
        pass
    raise Invalid.field("cursor", "not a cursor of this list; take `nextCursor` of its last answer")


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _signature(payload: bytes, query: str, viewer_id: UUID | None) -> bytes:
    bound_to = f"{query}|{viewer_id}|".encode()
    return hmac.digest(settings().cursor_secret.encode(), bound_to + payload, hashlib.sha256)[:_SIGNATURE_BYTES]
