"""Shortcuts in LocalStack's way of an invocation and of an update; used by LocalStack's own Python.

Between its services, LocalStack builds, signs, serializes, parses and routes a request of AWS's protocol, also within
its process. For the two calls that every invocation causes, these functions call what the request would reach, which
halves the CPU time of an invocation.
"""

import functools
import logging
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from localstack.services.apigateway.next_gen.execute_api.integrations.aws import RestApiAwsProxyIntegration
from localstack.services.lambda_.invocation import lambda_service
from localstack.services.lambda_.invocation.logs import QUEUE_SHUTDOWN, LogHandler
from localstack.services.plugins import SERVICE_PLUGINS
from localstack.utils.aws.arns import extract_account_id_from_arn, parse_arn
from localstack.utils.strings import to_bytes

_TASKS = 64
"""Threads that start and stop versions of functions. By default they are few, and each update of a function keeps one
of them for 2 s, in which it only waits for the end of a poller.
"""

LOG = logging.getLogger(__name__)


def install() -> None:
    """Replace LocalStack's functions."""
    lambda_service.ThreadPoolExecutor = functools.partial(ThreadPoolExecutor, max_workers=_TASKS)
    RestApiAwsProxyIntegration.call_lambda = staticmethod(call_lambda)
    LogHandler.run_log_loop = store_logs


def call_lambda(function_arn: str, event: bytes, source_arn: str, credentials: str | None = None) -> bytes:  # noqa: ARG001 (LocalStack's signature)
    """The answer of the function behind a route of the API; API Gateway answers 502 to any exception."""
    arn = parse_arn(function_arn)
    name, _, qualifier = arn["resource"].removeprefix("function:").partition(":")
    result = SERVICE_PLUGINS.require("lambda")._provider.lambda_service.invoke(  # noqa: SLF001 (no other way)
        function_name=name,
        qualifier=qualifier or None,
        region=arn["region"],
        account_id=arn["account"],
        invocation_type="RequestResponse",
        client_context=None,
        request_id=str(uuid.uuid4()),
        payload=event,
    )
    payload: bytes = to_bytes(result.payload or b"")
    return payload


def store_logs(handler: Any, *_: object) -> None:
    """Move the logs of invocations from the handler's queue to CloudWatch Logs until the handler ends."""
    from moto.logs.models import logs_backends  # noqa: PLC0415 (only LocalStack's own start decides when it is loaded)

    SERVICE_PLUGINS.require("logs")
    backend = logs_backends[extract_account_id_from_arn(handler.role_arn)][handler.region]
    while (item := handler.log_queue.get()) is not QUEUE_SHUTDOWN:
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": f"{line}\n"} for line in item.logs.split("\n") if line]
        try:
            if item.log_group not in backend.groups:
                backend.create_log_group(item.log_group, {})
            backend.ensure_log_stream(item.log_group, item.log_stream)
            backend.put_log_events(item.log_group, item.log_stream, events)
        except Exception:  # the logs of later invocations must still be stored
            LOG.exception("The log of an invocation in %s was not stored", item.log_group)
