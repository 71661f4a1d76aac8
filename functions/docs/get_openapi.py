"""GET /api/v1/openapi.json: return this description of the API; /docs shows it as a page."""

import functools
from pathlib import Path
from typing import Any

from layers.core.models import Shape
from layers.entrypoints.endpoint import endpoint
from layers.entrypoints.response import Encoded


class OpenApiDocument(Shape, frozen=True, kw_only=True):
    """A document in OpenAPI 3.1."""

    openapi: str
    info: dict[str, Any]
    servers: list[dict[str, Any]]
    tags: list[dict[str, Any]]
    paths: dict[str, dict[str, Any]]
    components: dict[str, dict[str, Any]]


@endpoint
def handler() -> Encoded[OpenApiDocument]:
    return Encoded(_read_file())


@functools.cache
def _read_file() -> bytes:
    """The file beside this one, which `make openapi` generates."""
    return Path(__file__).with_name("openapi.json").read_bytes()
