"""Which browsers' origins may call, and how that is said (contract 1.8)."""

import functools

from layers.core.errors import ForeignOrigin
from layers.core.settings import settings

UNSAFE_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE"


@functools.cache
def _accepted() -> frozenset[str]:
    configured = f"{settings().allowed_origins},{settings().own_origins}"
    return frozenset(origin.strip().rstrip("/") for origin in configured.split(",") if origin.strip())


def check_origin(method: str, origin: str | None) -> None:
    """Refuse a foreign origin on an unsafe method; scripts send none and pass."""
    if origin is not None and method in UNSAFE_METHODS and origin not in _accepted():
        raise ForeignOrigin


def headers_for(origin: str | None) -> dict[str, str]:
    """What lets this origin's pages read the answer; nothing for others."""
    if origin is None or origin not in _accepted():
        return {}
    return {"access-control-allow-origin": origin, "access-control-allow-credentials": "true", "vary": "Origin"}


def preflight(origin: str | None, requested_headers: str | None) -> dict[str, str]:
    """Headers of the 204 that answers OPTIONS."""
    allowed = headers_for(origin)
    if allowed:
        allowed |= {"access-control-allow-methods": METHODS, "access-control-max-age": "600"}
        if requested_headers:
            allowed["access-control-allow-headers"] = requested_headers
    return allowed
