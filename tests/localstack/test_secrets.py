"""A function that gets its secrets as on AWS: ARNs in its variables, and the texts from Secrets Manager."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra import template_map
from infra.localstack import cloud
from infra.localstack.deploy import BUCKET
from layers.core.settings import SECRETS
from tests.support.stack import ROOT

NAME = "photogram-with-secrets"
FUNCTION = template_map.function("feed/explore_posts")


def _configuration() -> dict[str, Any]:
    """That of the deployed function."""
    found: dict[str, Any] = cloud.client("lambda").get_function_configuration(
        FunctionName=cloud.function_name(FUNCTION.logical_id)
    )
    return found


@pytest.fixture
def arns() -> Iterator[dict[str, str]]:
    """Each secret of the deployed function in Secrets Manager, by the name of the variable for its ARN."""
    manager = cloud.client("secretsmanager")
    variables = _configuration()["Environment"]["Variables"]
    created = {
        f"{name}_ARN": manager.create_secret(Name=f"photogram-test/{name}", SecretString=variables[name])["ARN"]
        for name in map(str.upper, SECRETS)
    }
    yield created
    for arn in created.values():
        manager.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


@pytest.fixture
def function(arns: dict[str, str]) -> Iterator[str]:
    """The name of a function with the code and the layers of the deployed one, without the texts of secrets."""
    lambdas, deployed = cloud.client("lambda"), _configuration()
    with contextlib.suppress(lambdas.exceptions.ResourceNotFoundException):
        lambdas.delete_function(FunctionName=NAME)
    variables = {
        name: value for name, value in deployed["Environment"]["Variables"].items() if name.lower() not in SECRETS
    }
    variables["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = cloud.client("secretsmanager").meta.endpoint_url
    [code] = cloud.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"{FUNCTION.logical_id}-")["Contents"]
    lambdas.create_function(
        FunctionName=NAME,
        Runtime=deployed["Runtime"],
        Role=deployed["Role"],
        Handler=deployed["Handler"],
        Code={"S3Bucket": BUCKET, "S3Key": code["Key"]},
        Layers=[layer["Arn"] for layer in deployed["Layers"]],
        Environment={"Variables": variables | arns},
        MemorySize=deployed["MemorySize"],
        Timeout=deployed["Timeout"],
    )
    lambdas.get_waiter("function_active_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 0.2, "MaxAttempts": 300})
    yield NAME
    lambdas.delete_function(FunctionName=NAME)


def test_a_function_reads_its_secrets_from_secrets_manager(function: str) -> None:
    event = (ROOT / "events/feed/explore_posts.json").read_bytes()
    answer = cloud.client("lambda").invoke(FunctionName=function, Payload=event)
    reply = json.loads(answer["Payload"].read())

    assert "FunctionError" not in answer, reply
    assert reply["statusCode"] == 200, reply
    assert "posts" in json.loads(reply["body"])


def test_without_its_secrets_it_answers_that_a_service_is_not_available(function: str, arns: dict[str, str]) -> None:
    manager = cloud.client("secretsmanager")
    manager.put_secret_value(SecretId=arns["DATABASE_URL_ARN"], SecretString="postgresql://u@127.0.0.1:1/x")
    event = (ROOT / "events/feed/explore_posts.json").read_bytes()
    reply = json.loads(cloud.client("lambda").invoke(FunctionName=function, Payload=event)["Payload"].read())

    assert reply["statusCode"] == 503, reply
