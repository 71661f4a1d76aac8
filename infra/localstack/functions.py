"""Invokes deployed functions through LocalStack's Lambda API."""

import base64
from collections.abc import Mapping
from typing import Any

import msgspec

from infra.local.isolated import InvocationFailed, TimedOut
from infra.localstack import cloud
from infra.template_map import Function


class Outcome(msgspec.Struct, frozen=True):
    """What Lambda's Invoke API answered."""

    payload: Any
    """What the handler returned, or AWS's description of the failure."""
    error: str | None
    """`Unhandled`, where the function failed."""
    log: str
    """The last 4 KB of the invocation's log."""


def invoke(function: Function, event: Mapping[str, Any]) -> Outcome:
    """Invoke a function and wait; raises `NotDeployed`, or what boto3 raises."""
    payload = msgspec.json.encode(event)
    try:
        answer = _answer(function, payload)
    except cloud.client("lambda").exceptions.ResourceNotFoundException:  # nothing was invoked
        cloud.forget()
        answer = _answer(function, payload)
    return _outcome(answer)


def _answer(function: Function, payload: bytes) -> dict[str, Any]:
    name = cloud.function_name(function.logical_id)
    answer: dict[str, Any] = cloud.client("lambda").invoke(FunctionName=name, LogType="Tail", Payload=payload)
    return answer


def _outcome(answer: Mapping[str, Any]) -> Outcome:
    payload = answer["Payload"].read()
    return Outcome(
        payload=msgspec.json.decode(payload) if payload else None,
        error=answer.get("FunctionError"),
        log=base64.b64decode(answer.get("LogResult", "")).decode(errors="replace"),
    )


class Environment:
    """A deployed function, called as a local host calls an environment of its own."""

    def __init__(self, function: Function) -> None:
        self._function = function

    def start(self) -> None:
        """Nothing: LocalStack starts environments when they are needed."""

    def kill(self) -> None:
        """Nothing: they are LocalStack's."""

    def invoke(self, event: Mapping[str, Any], *, timeout_seconds: float) -> Any:  # noqa: ARG002 (Lambda enforces it)
        """What the handler returns for the event; raises `InvocationFailed`."""
        try:
            outcome = invoke(self._function, event)
        except (cloud.NotDeployed, *cloud.AWAY) as error:
            raise InvocationFailed(str(error)) from error
        if outcome.error is None:
            return outcome.payload
        raise (TimedOut if "Task timed out" in str(outcome.payload) else InvocationFailed)(str(outcome.payload))
