"""Error payloads and log lines in AWS's format."""

import json
import math
import signal
from dataclasses import dataclass
from datetime import UTC, datetime

MAX_REQUEST_BYTES = 6_291_456
MAX_RESPONSE_BYTES = 6_291_556
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Failure:
    """An invocation without an answer: the runtime exited or timed out, or its answer was too large."""

    error_type: str
    message: str
    status: str = "error"

    def payload(self, request_id: str) -> bytes:
        """The answer of the Invoke API."""
        return json.dumps({"errorType": self.error_type, "errorMessage": self._prefixed(request_id)}).encode()

    def log(self, request_id: str) -> str:
        """The lines of the log after the REPORT line."""
        if self.status == "timeout":
            return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + f"Z {request_id} {self.message}\n\n"
        return f"{self._prefixed(request_id)}\n{self.error_type}\n"

    def _prefixed(self, request_id: str) -> str:
        return f"RequestId: {request_id} Error: {self.message}"


class ResponseTooLarge(Failure):
    """A failure whose message, as on AWS, does not contain the request id."""

    def _prefixed(self, request_id: str) -> str:
        del request_id
        return self.message


def timed_out(seconds: float) -> Failure:
    """The function ran longer than its timeout."""
    return Failure("Sandbox.Timedout", f"Task timed out after {seconds:.2f} seconds", "timeout")


def exited(status: int) -> Failure:
    """The runtime's process ended; `status` is that of `os.wait`."""
    if status == 0:
        return Failure("Runtime.ExitError", "Runtime exited without providing a reason")
    number = status & 0x7F
    reason = f"signal: {_signal_name(number)}" if number else f"exit status {status >> 8}"
    return Failure("Runtime.ExitError", f"Runtime exited with error: {reason}")


def out_of_memory() -> Failure:
    """The function was killed because it exceeded its memory limit."""
    return Failure("Runtime.OutOfMemory", "Runtime exited with error: signal: killed")


def response_too_large() -> Failure:
    """The function's answer exceeded the limit."""
    message = f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."
    return ResponseTooLarge("Function.ResponseSizeTooLarge", message)


@dataclass(frozen=True, kw_only=True)
class Report:
    """The figures of one invocation; times are in milliseconds."""

    request_id: str
    version: str
    duration_ms: float
    memory_megabytes: int
    peak_bytes: int
    init_ms: float | None = None
    failure: Failure | None = None


def log(report: Report, init: str, text: str) -> str:
    """The log of an invocation: the output of its init and its handler, with the START, END and REPORT lines."""
    request = f"RequestId: {report.request_id}"
    lines = f"{_with_newline(init)}START {request} Version: {report.version}\n{_with_newline(text)}END {request}\n"
    lines += "\t".join([f"REPORT {request}", *_figures(report)]) + "\n"
    return lines + (report.failure.log(report.request_id) if report.failure else "")


def _figures(report: Report) -> list[str]:
    billed = math.ceil(report.duration_ms + (report.init_ms or 0))
    figures = [
        f"Duration: {report.duration_ms:.2f} ms",
        f"Billed Duration: {billed} ms",
        f"Memory Size: {report.memory_megabytes} MB",
        f"Max Memory Used: {math.ceil(report.peak_bytes / _MEGABYTE)} MB",
    ]
    if report.init_ms is not None:
        figures.append(f"Init Duration: {report.init_ms:.2f} ms")
    if report.failure:
        figures.append(f"Status: {report.failure.status}")
        if report.failure.status == "error":
            figures.append(f"Error Type: {report.failure.error_type}")
    return figures


def _with_newline(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _signal_name(number: int) -> str:
    return (signal.strsignal(number) or str(number)).lower()
