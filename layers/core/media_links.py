"""Signed links to media, which nginx checks with `secure_link` (R-M7, docs/decisions/0020-signed-links.md)."""

import base64
import functools
import hashlib
import re
import time
from datetime import UTC, datetime

from layers.core.settings import settings

POST_MARK = "\x01"
AVATAR_MARK = "\x02"
_ENDING_MARK = "\x03"
"""The first character of a stored URL. `sign_all` replaces it by the base URL and a signature while answering.

`text.normalize` removes these characters from all text of requests; otherwise a client could have any key signed.
"""

_MARKED = re.compile(
    rb'"\\u000(?:[12]|3([0-9]+)/)([^"]*?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})[^"]*)"'
)

_ROUNDING_SECONDS = 6 * 60 * 60
_MIN_SECONDS = 60 * 60


def prefix(scope: str, *, at_most: datetime | None = None) -> str:
    """The part of an object's URL before its key; it is valid for keys that contain `scope` (an id) only.

    The link works for at least 1 h and at most 7 h, and never after `at_most`. The expiry is rounded up to 6 h, so that
    clients can cache a picture under one URL for hours.
    """
    now = int(time.time())
    expiry = (now + _MIN_SECONDS) // _ROUNDING_SECONDS * _ROUNDING_SECONDS + _ROUNDING_SECONDS
    if at_most is not None:
        expiry = min(expiry, int(at_most.timestamp()))
    return _signed_prefix(scope, expiry)


def link(key: str, scope: str, *, at_most: datetime | None = None) -> str:
    """The absolute URL of one object."""
    return prefix(scope, at_most=at_most) + key


def expiring_url(key: str, at: datetime) -> str:
    """The stored URL of an object that ends at that time: `sign_all` makes links that stop working then."""
    return f"{_ENDING_MARK}{int(at.timestamp())}/{key}"


def sign_all(answer: bytes) -> bytes:
    """A JSON answer in which each stored URL is replaced by a signed link; the first id in a key is its scope."""
    return _MARKED.sub(_to_link, answer) if b"\\u000" in answer else answer


def _to_link(found: re.Match[bytes]) -> bytes:
    end, key, scope = found.groups()
    at_most = datetime.fromtimestamp(int(end), UTC) if end else None
    return f'"{link(key.decode(), scope.decode(), at_most=at_most)}"'.encode()


@functools.lru_cache(maxsize=4096)
def _signed_prefix(scope: str, expiry: int) -> str:
    signed = f"{expiry}/{scope} {settings().media_link_secret}".encode()
    signature = base64.urlsafe_b64encode(hashlib.md5(signed, usedforsecurity=False).digest()).rstrip(b"=").decode()
    return f"{settings().media_base_url}{signature}/{expiry}/{scope}/"
