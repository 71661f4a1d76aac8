"""Runs one event in this process or in LocalStack, and says how it went."""

import logging
import re
import resource
import time
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from infra.environments.handlers import Handler
from infra.environments.in_process import InProcessEnvironment
from infra.template_map import Function
from layers.core.logging import logger

_KILOBYTE: Final = 1024
_OUTCOME: Final = re.compile(r'"message":"message".*"outcome":"(?P<outcome>(?:[^"\\]|\\.)*)"')
"""In a log line of a queue's function."""
_DONE: Final = "done"
_REPORT: Final = re.compile(
    r"^REPORT RequestId: (?P<id>\S+)\tDuration: (?P<duration>[\d.]+) ms.*\tMax Memory Used: (?P<memory>\d+) MB"
    r"(?:\tInit Duration: (?P<init>[\d.]+) ms)?",
    re.MULTILINE,
)
_LAMBDA_LINES: Final = re.compile(r"^(?:START|END|REPORT) RequestId: .*\n", re.MULTILINE)


class Invoked(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of an invocation."""

    result: Any = None
    error: str = ""
    """The traceback, or the error that Lambda reports; empty if the function returned."""
    failures: tuple[str, ...] = ()
    """The outcome of each message of a batch that failed."""
    duration_ms: float
    init_ms: float | None
    """How long the import took; None if the environment was warm."""
    memory_mb: int
    """The most that the environment has used so far."""
    grown_mb: float | None = None
    """By how much this invocation has raised that; None if the host does not tell."""

    @property
    def status(self) -> str:
        """The HTTP status, or `done`, `failed` or `raised`."""
        if self.error:
            return "raised"
        if isinstance(self.result, dict) and isinstance(self.result.get("statusCode"), int):
            return str(self.result["statusCode"])
        return "failed" if self.has_failed else _DONE

    @property
    def has_failed(self) -> bool:
        """Whether it raised, answered 400 or more, or left messages of its batch undone."""
        result = self.result if isinstance(self.result, dict) else {}
        is_refusal = int(result.get("statusCode") or 0) >= HTTPStatus.BAD_REQUEST
        return bool(self.error or self.failures or is_refusal or result.get("batchItemFailures"))


class _Outcomes(logging.Handler):
    """Collects the outcomes of messages that a queue's function logs."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the outcome of a message that failed."""
        outcome = getattr(record, "outcome", _DONE)
        if record.getMessage() == "message" and outcome != _DONE:
            self.failures.append(outcome)


class LocalHost:
    """The function in this process; the first event finds it cold."""

    name = "this process"

    def __init__(self, function: Function) -> None:
        self._environment = InProcessEnvironment(function)
        self._init_ms: float | None = None

    def load(self) -> Handler:
        """Import the handler; raises `HandlerNotLoaded`."""
        started = time.perf_counter()
        handler = self._environment.load()
        self._init_ms = _milliseconds(started)
        return handler

    def invoke(self, event: Mapping[str, Any]) -> Invoked:
        """Run the handler, whose log lines go to standard output."""
        outcomes = _Outcomes()
        logger().addHandler(outcomes)  # before it, the first call creates the logger
        init_ms, self._init_ms = self._init_ms, None
        before, started = _peak_mb(), time.perf_counter()
        result, error = None, ""
        try:
            result = self._environment.invoke(event)
        except Exception:  # noqa: BLE001 (a function may raise anything)
            error = traceback.format_exc()
        duration_ms, peak = _milliseconds(started), _peak_mb()
        logging.getLogger("photogram").removeHandler(outcomes)
        return Invoked(
            result=msgspec.json.decode(msgspec.json.encode(result, enc_hook=str)),
            error=error,
            failures=tuple(outcomes.failures),
            duration_ms=duration_ms,
            init_ms=init_ms,
            memory_mb=round(peak),
            grown_mb=peak - before,
        )


class LocalStackHost:
    """The function as a Lambda in LocalStack."""

    name = "LocalStack"

    def __init__(self, function: Function) -> None:
        self._function = function
        self.log = ""
        """The end of the log of the last invocation, at most 4 KB, without Lambda's own lines."""

    def load(self) -> Handler:
        """Import the handler here, to read what it declares; LocalStack imports its own."""
        return InProcessEnvironment(self._function).load()

    def invoke(self, event: Mapping[str, Any]) -> Invoked:
        """Invoke through Lambda's API; raises `cloud.NotDeployed` or `cloud.ERRORS`."""
        from infra.localstack import functions  # noqa: PLC0415 (imports boto3, which takes longer than a local run)

        started = time.perf_counter()
        outcome = functions.invoke(self._function, event)
        waited: dict[str, Any] = {"duration_ms": _milliseconds(started), "init_ms": None, "memory_mb": 0}
        figures, self.log = read_lambda_log(outcome.log)
        error = _describe(outcome.payload) if outcome.error else ""
        return Invoked(result=outcome.payload, error=error, **waited | figures)


def read_lambda_log(log: str) -> tuple[dict[str, Any], str]:
    """What the log of an invocation says for `Invoked`, and the log without Lambda's own lines."""
    figures: dict[str, Any] = {"failures": tuple(each for each in _OUTCOME.findall(log) if each != _DONE)}
    if report := _REPORT.search(log):
        figures |= {
            "duration_ms": float(report["duration"]),
            "init_ms": float(report["init"]) if report["init"] else None,
            "memory_mb": int(report["memory"]),
        }
    return figures, _LAMBDA_LINES.sub("", log)


def _describe(payload: object) -> str:
    if not isinstance(payload, dict):
        return str(payload)
    stack = "".join(payload.get("stackTrace") or ())
    return f"{stack}{payload.get('errorType', 'Error')}: {payload.get('errorMessage', '')}\n"


def _milliseconds(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def _peak_mb() -> float:
    """The largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KILOBYTE
