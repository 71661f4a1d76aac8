"""awslocal, the AWS CLI and boto3 reach LocalStack with the exports that `make localstack-env` prints."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra import template_map
from infra.localstack import cloud
from infra.stack import venvs
from tests.support.stack import ROOT

HEALTH = cloud.function_name(template_map.function("health/get_health").logical_id)
PROGRAM = "import boto3; print(boto3.client('lambda').get_function(FunctionName={!r})['Configuration']['FunctionArn'])"
ARN = f"arn:aws:lambda:{cloud.REGION}:000000000000:function:{HEALTH}"


def _in_a_shell(script: str) -> str:
    """The output of commands in a shell that has no variable of the stack or of AWS."""
    programs = [Path(sys.executable).parent, venvs.LOCALSTACK.python.parent]
    variables = {"PATH": os.pathsep.join([*map(str, programs), os.environ["PATH"]])}
    variables |= {name: value for name, value in os.environ.items() if name.startswith("PHOTOGRAM_")}
    done = subprocess.run(
        ["sh", "-e", "-c", script], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _with_exports(command: str) -> str:
    return _in_a_shell(f'eval "$(make -s localstack-env PROFILE=test)"\n{command}')


@pytest.mark.parametrize("program", ["awslocal", "aws"])
def test_a_command_line_client_finds_a_function(program: str) -> None:
    found = json.loads(_with_exports(f"{program} lambda get-function-configuration --function-name {HEALTH}"))

    assert found["FunctionArn"] == ARN


def test_boto3_finds_a_function() -> None:
    assert _with_exports(f'python -c "{PROGRAM.format(HEALTH)}"').strip() == ARN


def test_the_commands_of_the_readme_do_what_it_says(tmp_path: Path) -> None:
    text = (ROOT / "infra/localstack/README.md").read_text().partition("## AWS's clients")[2]
    block = text.partition("```sh\n")[2].partition("```")[0]
    answer = tmp_path / "answer.json"

    script = block.replace("localstack-env", "localstack-env PROFILE=test").replace(" answer.json", f" {answer}")
    printed = _in_a_shell(script)

    assert HEALTH in printed
    assert printed.splitlines()[-1] == cloud.API_ID
    assert json.loads(answer.read_text())["statusCode"] == 200
