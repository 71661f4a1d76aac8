"""Clients of the LocalStack at LOCALSTACK_HOST, and the names of what is deployed there."""

import functools
from typing import Any

import botocore.config
from botocore.exceptions import BotoCoreError, ClientError
from localstack_client.session import Session

STACK = "photogram"
API_ID = "photogram"
"""The id of the REST API."""
REGION = "eu-central-1"
ERRORS = (BotoCoreError, ClientError)
"""What its clients raise when it does not answer or refuses."""

_CONNECT_SECONDS = 2
_READ_SECONDS = 120


class NotDeployed(Exception):
    """LocalStack does not run, or Photogram is not deployed in it."""


@functools.cache
def client(service: str) -> Any:
    """A boto3 client without retries, because an invocation that failed may have had its effect."""
    config = botocore.config.Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"total_max_attempts": 1},
        max_pool_connections=32,
    )
    return Session(region_name=REGION).client(service, config=config)


def function_name(logical_id: str) -> str:
    """The name of a function in LocalStack, which is the same after each deployment."""
    return f"{STACK}-{logical_id}"


def api_url() -> str:
    """The URL of the REST API, to which a path such as `/api/health` is appended; the same after each deployment."""
    return f"{client('apigateway').meta.endpoint_url}/_aws/execute-api/{API_ID}/Prod"
