"""Signed links to media, which nginx checks with `secure_link` (R-M7, docs/decisions/0020-signed-links.md).

The path of a link is the key of the object. The folders of profile pictures and of the renditions of posts are left out
of it, because nginx finds them by the file's name (docs/contract/media.md).
"""

import base64
import functools
import hashlib
import re
import time
from datetime import datetime

from layers.core.settings import settings

POST_MARK = "\x01"
AVATAR_MARK = "\x02"
_ENDING_MARK = "\x03"
"""The first character of a stored URL. `sign_all` replaces it by the base URL and a signature while answering.

`text.normalize` removes these characters from all text of requests; otherwise a client could have any key signed.
"""

_MARKED = re.compile(
    rb'"\\u000(?:[12]|3([0-9]+)/)(?:processed/[a-z]+/|avatars/)?'
    rb'([^"]*?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})[^"]*)"'
)

_ROUNDING_SECONDS = 6 * 60 * 60
_MIN_SECONDS = 60 * 60


def prefix(scope: str) -> str:
    """The part of an object's URL before its path; it is valid for paths that contain `scope` (an id) only.

    The link works for at least 1 h and at most 7 h. The expiry is rounded up to 6 h, so that clients can cache a
    picture under one URL for hours.
    """
    return _signed_prefix(scope, expiry())


def expiring_url(key: str, at: datetime) -> str:
    """The stored URL of an object that ends at that time: `sign_all` makes links that stop working then."""
    return f"{_ENDING_MARK}{int(at.timestamp())}/{key}"


def sign_all(answer: bytes) -> bytes:
    """A JSON answer in which each stored URL is replaced by a signed link; the first id in a key is its scope."""
    if b"\\" not in answer or b"\\u000" not in answer:  # the first is found ten times as fast, and most have neither
        return answer
    return _MARKED.sub(functools.partial(_to_link, expiry()), answer)


def _to_link(ends_at: int, found: re.Match[bytes]) -> bytes:
    end, path, scope = found.groups()
    if end:
        ends_at = min(ends_at, int(end))
    return f'"{_signed_prefix(scope.decode(), ends_at)}{path.decode()}"'.encode()


def expiry() -> int:
    """When the links of an answer end, as a Unix time: in 1 h at least."""
    return (int(time.time()) + _MIN_SECONDS) // _ROUNDING_SECONDS * _ROUNDING_SECONDS + _ROUNDING_SECONDS


@functools.lru_cache(maxsize=4096)
def _signed_prefix(scope: str, ends_at: int) -> str:
    signed = f"{ends_at}/{scope} {settings().media_link_secret}".encode()
    signature = base64.urlsafe_b64encode(hashlib.md5(signed, usedforsecurity=False).digest()).rstrip(b"=").decode()
    return f"{settings().media_base_url}{signature}/{ends_at}/"
