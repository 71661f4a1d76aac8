"""GET /api/v1/openapi.json: this description of the API, for programs; people read it at /docs."""

import functools
from pathlib import Path
from typing import Any

from layers.core.endpoint import endpoint
from layers.core.models import Shape
from layers.core.response import Encoded


class Description(Shape, frozen=True, kw_only=True):
    """A document in OpenAPI 3.1."""

    openapi: str
    info: dict[str, Any]
    servers: list[dict[str, Any]]
    tags: list[dict[str, Any]]
    paths: dict[str, dict[str, Any]]
    components: dict[str, dict[str, Any]]


@endpoint
def handler() -> Encoded[Description]:
    return Encoded(_written())


@functools.cache
def _written() -> bytes:
    """The file beside this one, which `make openapi` writes."""
    return Path(__file__).with_name("openapi.json").read_bytes()
