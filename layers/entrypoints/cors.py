"""Cross-origin requests: which origins are accepted, and the CORS headers (docs/contract/README.md#origins)."""

import functools

from layers.core.errors import ForeignOrigin
from layers.core.settings import settings

UNSAFE_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE"


@functools.cache
def _accepted_origins() -> frozenset[str]:
    configured = f"{settings().allowed_origins},{settings().own_origins}"
    return frozenset(origin.strip().rstrip("/") for origin in configured.split(",") if origin.strip())


def check_origin(method: str, origin: str | None) -> None:
    """Raise `ForeignOrigin` for a foreign origin on an unsafe method; a request without an origin is accepted."""
    if origin is not None and method in UNSAFE_METHODS and origin not in _accepted_origins():
        raise ForeignOrigin


def headers_for(origin: str | None) -> dict[str, str]:
    """The CORS headers that let pages of this origin read the answer; none for other origins."""
    if origin is None or origin not in _accepted_origins():
        return {}
    return {"access-control-allow-origin": origin, "access-control-allow-credentials": "true", "vary": "Origin"}


def preflight(origin: str | None, requested_headers: str | None) -> dict[str, str]:
    """The headers of the 204 that answers a preflight request (OPTIONS)."""
    allowed = headers_for(origin)
    if allowed:
        allowed |= {"access-control-allow-methods": METHODS, "access-control-max-age": "600"}
        if requested_headers:
            allowed["access-control-allow-headers"] = requested_headers
    return allowed
