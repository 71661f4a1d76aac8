"""awslocal, the AWS CLI and boto3 reach LocalStack with the exports that `make localstack-env` prints."""

import json
import os
import subprocess
import sys

import pytest

from infra import template_map
from infra.localstack import cloud
from infra.stack import venvs
from tests.support.stack import ROOT

HEALTH = cloud.function_name(template_map.function("health/get_health").logical_id)
PROGRAM = "import boto3; print(boto3.client('lambda').get_function(FunctionName={!r})['Configuration']['FunctionArn'])"
ARN = f"arn:aws:lambda:{cloud.REGION}:000000000000:function:{HEALTH}"


def _in_a_shell(command: str) -> str:
    """The output of a command in a shell that has the exports and no other variable of the stack or of AWS."""
    variables = {"PATH": os.environ["PATH"]}
    variables |= {name: value for name, value in os.environ.items() if name.startswith("PHOTOGRAM_")}
    script = f'eval "$(make -s localstack-env PROFILE=test)"\n{command}'
    done = subprocess.run(["sh", "-c", script], cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("program", ["awslocal", "aws"])
def test_a_command_line_client_finds_a_function(program: str) -> None:
    path = venvs.LOCALSTACK.python.with_name(program)

    found = json.loads(_in_a_shell(f"{path} lambda get-function-configuration --function-name {HEALTH}"))

    assert found["FunctionArn"] == ARN


def test_boto3_finds_a_function() -> None:
    assert _in_a_shell(f'{sys.executable} -c "{PROGRAM.format(HEALTH)}"').strip() == ARN
