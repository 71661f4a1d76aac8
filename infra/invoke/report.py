"""What `make invoke` prints: the result on standard output, all else on standard error, in the manner of Lambda."""

import contextlib
import json
import sys

import msgspec

from infra.invoke.assembly import Request
from infra.invoke.hosts import Invoked
from infra.template_map import Function
from layers.rabbitmq.messages import WITHHOLD


def print_start(function: Function, request: Request, *, host: str) -> None:
    """The line before the log."""
    event = request.event
    what = f": {event['httpMethod']} {event['path']}" if "httpMethod" in event else ""
    account = f" as {request.sender}" if request.sender else ""
    held = "; messages are shown and not published (LIVE=yes publishes them)" if event.get(WITHHOLD) else ""
    _print(f"START   {function.name} in {host}{account}{what}{held}")


def print_end(function: Function, invoked: Invoked, *, log: str = "") -> None:
    """The log of a host that has its own, the error, the outcome and the figures."""
    if log:
        _print(log.rstrip("\n"))
    if invoked.error:
        _print(invoked.error.rstrip("\n"))
    for failure in invoked.failures:
        _print(f"FAILED  a message: {failure}")
    _print(f"END     {function.name}: {invoked.status}")
    start = "warm" if invoked.init_ms is None else f"cold, {invoked.init_ms:.1f} ms to import"
    grown = "" if invoked.grown_mb is None else f", {invoked.grown_mb:+.1f} MB in this invocation"
    _print(
        f"REPORT  duration {invoked.duration_ms:.1f} ms; {start}; "
        f"memory {invoked.memory_mb} MB of {function.memory_mb} MB{grown}"
    )


def result_text(result: object) -> str:
    """The result as indented JSON; the JSON body of an HTTP reply is shown as JSON, not as a string."""
    if isinstance(result, dict) and isinstance(result.get("body"), str):
        with contextlib.suppress(ValueError):
            result = {**result, "body": json.loads(result["body"])}
    return msgspec.json.format(msgspec.json.encode(result, enc_hook=str), indent=2).decode()


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
