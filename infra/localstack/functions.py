"""Invokes deployed functions through LocalStack's Lambda API."""

import base64
from collections.abc import Mapping
from typing import Any

import msgspec
from botocore.exceptions import EndpointConnectionError

from infra.environments.invocation import InvocationFailed, TimedOut
from infra.localstack import cloud
from infra.template_map import Function


class Outcome(msgspec.Struct, frozen=True):
    """The answer of Lambda's Invoke API."""

    payload: Any
    """What the handler returned, or AWS's description of the failure."""
    error: str | None
    """`Unhandled` if the function failed; otherwise None."""
    log: str
    """The last 4 KB of the invocation's log."""


def invoke(function: Function, event: Mapping[str, Any]) -> Outcome:
    """Invoke a function and wait for its answer; raises `cloud.NotDeployed` or `cloud.ERRORS`."""
    lambdas = cloud.client("lambda")
    try:
        answer = lambdas.invoke(
            FunctionName=cloud.function_name(function.logical_id), LogType="Tail", Payload=msgspec.json.encode(event)
        )
    except (EndpointConnectionError, lambdas.exceptions.ResourceNotFoundException) as error:
        raise cloud.NotDeployed(f"Photogram is not deployed in LocalStack ({error}). Run: make localstack") from error
    return _outcome(answer)


def _outcome(answer: Mapping[str, Any]) -> Outcome:
    payload = answer["Payload"].read()
    return Outcome(
        payload=msgspec.json.decode(payload) if payload else None,
        error=answer.get("FunctionError"),
        log=base64.b64decode(answer.get("LogResult", "")).decode(errors="replace"),
    )


class DeployedFunction:
    """A function in LocalStack with the interface of a local environment (`Invocable`)."""

    def __init__(self, function: Function) -> None:
        self._function = function

    def start(self) -> None:
        """Do nothing: LocalStack starts environments itself."""

    def kill(self) -> None:
        """Do nothing: LocalStack ends environments itself."""

    def invoke(self, event: Mapping[str, Any], *, timeout_seconds: float) -> Any:  # noqa: ARG002 (Lambda enforces it)
        """What the handler returns for the event; raises `InvocationFailed`."""
        try:
            outcome = invoke(self._function, event)
        except (cloud.NotDeployed, *cloud.ERRORS) as error:
            raise InvocationFailed(str(error)) from error
        if outcome.error is None:
            return outcome.payload
        raise (TimedOut if "Task timed out" in str(outcome.payload) else InvocationFailed)(str(outcome.payload))
