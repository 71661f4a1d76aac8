"""Entry point of health probes: HTTP without a session and without rate limits, so the entry point uses no store."""

from layers.entrypoints.http import Endpoint, Exchange, make_handler
from layers.entrypoints.signature import Handler, Signature


def health_probe(handler: Handler) -> Endpoint:
    """Make a Lambda handler from a function that answers a probe; use it as a decorator."""
    return make_handler(handler, Signature.of(handler, admits=False), Exchange)
