"""Clients of the LocalStack that LOCALSTACK_HOST names, and what of Photogram is deployed there."""

import functools
from typing import Any

import botocore.config
from botocore.exceptions import BotoCoreError, ClientError
from localstack_client.session import Session

STACK = "photogram"
REGION = "eu-central-1"
AWAY = (BotoCoreError, ClientError)
"""What its clients raise: it does not answer, or it refuses."""

_CONNECT_SECONDS = 2
_LONGEST_SECONDS = 120


class NotDeployed(Exception):
    """LocalStack does not run, or Photogram is not in it."""


@functools.cache
def client(service: str) -> Any:
    """A boto3 client; nothing is asked twice, since an invocation may already have had its effect."""
    config = botocore.config.Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_LONGEST_SECONDS,
        retries={"total_max_attempts": 1},
        max_pool_connections=32,
    )
    return Session(region_name=REGION).client(service, config=config)


def function_name(logical_id: str) -> str:
    """The name under which CloudFormation made a function; raises `NotDeployed`."""
    return _physical_id(logical_id)


def api_url() -> str:
    """Where the REST API answers; the paths of the contract follow. Raises `NotDeployed`."""
    endpoint = client("apigateway").meta.endpoint_url
    return f"{endpoint}/_aws/execute-api/{_physical_id('ServerlessRestApi')}/Prod"


def forget() -> None:
    """What is deployed has been removed, or made anew under other names."""
    _physical_id.cache_clear()


@functools.cache
def _physical_id(logical_id: str) -> str:
    try:
        found = client("cloudformation").describe_stack_resource(StackName=STACK, LogicalResourceId=logical_id)
    except AWAY as error:
        raise NotDeployed(f"Photogram is not deployed in LocalStack ({error}); run: make localstack") from error
    physical_id: str = found["StackResourceDetail"]["PhysicalResourceId"]
    return physical_id
