"""Signed links to media, checked by the front door (nginx `secure_link`)."""

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
"""Stand first in a stored URL in place of the signed part, which is added while answering.

No text that people send may hold these characters, or they could sign links of their own: `text.cleaned` removes them.
"""

_MARKED = re.compile(
    rb'"\\u000(?:[12]|3([0-9]+)/)([^"]*?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})[^"]*)"'
)

_ROUNDED_TO = 6 * 60 * 60
_AT_LEAST = 60 * 60


def prefix(scope: str, *, at_most: datetime | None = None) -> str:
    """What stands before an object's key in its URL; `scope` (an id inside the key) is all that it opens.

    The link works for at least 1 h and at most 7 h, rounded so that a picture keeps its URL for hours,
    but never beyond `at_most`.
    """
    now = int(time.time())
    expiry = (now + _AT_LEAST) // _ROUNDED_TO * _ROUNDED_TO + _ROUNDED_TO
    if at_most is not None:
        expiry = min(expiry, int(at_most.timestamp()))
    return _signed(scope, expiry)


def link(key: str, scope: str, *, at_most: datetime | None = None) -> str:
    """The absolute URL of one object."""
    return prefix(scope, at_most=at_most) + key


def ending(key: str, at: datetime) -> str:
    """The stored URL of an object that nobody may see from then on: its link never works longer."""
    return f"{_ENDING_MARK}{int(at.timestamp())}/{key}"


def signed(answer: bytes) -> bytes:
    """A JSON answer with every marked key made a link; the first id in a key is its scope."""
    return _MARKED.sub(_linked, answer) if b"\\u000" in answer else answer


def _linked(found: re.Match[bytes]) -> bytes:
    end, key, scope = found.groups()
    at_most = datetime.fromtimestamp(int(end), UTC) if end else None
    return f'"{link(key.decode(), scope.decode(), at_most=at_most)}"'.encode()


@functools.lru_cache(maxsize=4096)
def _signed(scope: str, expiry: int) -> str:
    told = f"{expiry}/{scope} {settings().media_link_secret}".encode()
    signature = base64.urlsafe_b64encode(hashlib.md5(told, usedforsecurity=False).digest()).rstrip(b"=").decode()
    return f"{settings().media_base_url}{signature}/{expiry}/{scope}/"
