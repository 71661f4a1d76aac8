"""Links to media, as answers have them and as clients make them of URI templates."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

import msgspec

from layers.core import media_links
from layers.core.models import links_of


def link(key: str, until: datetime | None = None) -> str:
    """The link to an object of the store in an answer; it never works after `until`."""
    url: str = sign(media_links.expiring_url(key, until) if until else media_links.POST_MARK + key)
    return url


def signed_links_of(post_id: UUID, order_index: int) -> dict[str, Any]:
    """The members of a processed picture with its links, as answers have them."""
    members: dict[str, Any] = sign(links_of(post_id, order_index))
    return members


def sign(value: object) -> Any:
    """A value as an answer shows it."""
    return msgspec.json.decode(media_links.sign_all(msgspec.json.encode(value)))


def rendition_url(media: Mapping[str, Any], size: int, extension: str) -> str:
    """The URL of one rendition of a picture."""
    return expand(media["renditions"]["url"], size, extension)


def expand(template: str, size: int, extension: str) -> str:
    """`renditions.url` as RFC 6570 expands it."""
    values = {"size": str(size), "format": extension}
    return re.sub(r"{(\w+)}", lambda found: quote(values[found[1]], safe=""), template)
