"""What AWS answers for functions that fail without a word of their own, in its shapes."""

import json

PAYLOAD_BYTES = 6 * 1024 * 1024
"""Of a request; a response may have 100 more."""
RESPONSE_BYTES = PAYLOAD_BYTES + 100
_SIGNALLED = 128
_KILLED = 9


def _payload(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


def _of(request_id: str) -> str:
    """An import fails without a request."""
    return f"RequestId: {request_id} " if request_id else ""


def timed_out(request_id: str, seconds: float) -> bytes:
    """It took longer than its timeout."""
    return _payload("Sandbox.Timedout", f"{_of(request_id)}Error: Task timed out after {seconds:.2f} seconds")


def exited(request_id: str, status: int) -> bytes:
    """Its process ended."""
    return _payload("Runtime.ExitError", f"{_of(request_id)}Error: Runtime exited {how(status)}")


def out_of_memory(request_id: str) -> bytes:
    """It held more than its memory size, and was killed."""
    return _payload("Runtime.OutOfMemory", f"{_of(request_id)}Error: Runtime exited with error: signal: killed")


def response_too_large(size: int) -> bytes:
    """It answered with more than Lambda passes on."""
    message = f"Response payload size ({size} bytes) exceeded maximum allowed payload size ({RESPONSE_BYTES} bytes)."
    return _payload("Function.ResponseSizeTooLarge", message)


def how(status: int) -> str:
    """An exit status as AWS writes it; above 128 it tells of a signal, as a shell's does."""
    if status == 0:
        return "without providing a reason"
    if status == _SIGNALLED + _KILLED:
        return "with error: signal: killed"
    if status > _SIGNALLED:
        return f"with error: signal: {status - _SIGNALLED}"
    return f"with error: exit status {status}"
