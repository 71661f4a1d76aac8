"""What a developer does with a deployed function: invoke it, read its log, change it, find out what it lacks."""

import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra import template_map
from infra.localstack import cloud, deploy, functions
from infra.stack import environment
from infra.stack.profiles import profile
from tests.support.hosts import copy_of_the_code
from tests.support.http import api
from tests.support.stack import ROOT
from tests.support.waiting import until

ANSWERING = """
def handler(event, context):
    return {{"statusCode": 200, "body": '{{"status": "{}"}}'}}
"""
HEALTH = template_map.function("health/get_health")


def _run(*words: str, seconds: float = 30) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False
    )


@pytest.fixture
def edited(tmp_path: Path) -> Iterator[Path]:
    """The health function's file in a copy of the code that is watched; afterwards it is as deployed."""
    clone = copy_of_the_code(tmp_path)
    names = {"FunctionName": cloud.function_name(HEALTH.logical_id)}
    deployed = deploy.artifacts(tmp_path / "artifacts")
    watching = subprocess.Popen(
        [sys.executable, "-m", "infra.localstack.watch"],
        cwd=clone,
        env={**os.environ, "PYTHONPATH": str(clone)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stdout
        assert "Watching" in watching.stdout.readline()
        yield clone / "functions/health/get_health.py"
    finally:
        watching.kill()
        watching.communicate()
        cloud.client("lambda").update_function_code(
            **names, S3Bucket=deploy.BUCKET, S3Key=deployed.key(HEALTH.logical_id)
        )


def _health() -> Any:
    return httpx.get(f"{api()}/api/health", timeout=30).json()


def test_a_function_is_invoked_by_name_with_its_sample_event() -> None:
    told = _run("infra.local.invoke", "health/get_health", "--host", "localstack")

    assert told.returncode == 0, told.stderr
    assert "START RequestId:" in told.stdout
    assert '"statusCode": 200' in told.stdout
    assert "took" in told.stderr


def test_its_log_is_followed_by_name() -> None:
    trace_id = f"follow-{time.time_ns()}"
    httpx.get(f"{api()}/api/health", headers={"x-trace-id": trace_id}, timeout=30).raise_for_status()
    following = subprocess.Popen(
        [sys.executable, "-m", "infra.local.follow", "health/get_health", "--host", "localstack"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert following.stdout
        lines = iter(following.stdout.readline, "")
        line = next(each for each in lines if trace_id in each)
        assert json.loads(line)["function"] == "get_health"
    finally:
        following.kill()
        following.communicate()


def test_an_edited_function_is_served_as_it_was_saved(edited: Path) -> None:
    assert _health()["status"] == "ok"
    for said in ("first", "second", "third"):
        edited.write_text(ANSWERING.format(said))

        until(lambda said=said: _health()["status"] == said, seconds=10)


def test_an_undeclared_layer_is_missing_there(tmp_path: Path) -> None:
    lambdas = cloud.client("lambda")
    like = lambdas.get_function_configuration(FunctionName=cloud.function_name(HEALTH.logical_id))
    archive = tmp_path / "code.zip"
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("greedy.py", "import layers.core.ids\nimport layers.postgres.users\ndef handler(*_): pass\n")
    lambdas.create_function(
        FunctionName="greedy",
        Runtime=like["Runtime"],
        Role=like["Role"],
        Handler="greedy.handler",
        Code={"ZipFile": archive.read_bytes()},
        Layers=[layer["Arn"] for layer in like["Layers"]],
    )
    try:
        lambdas.get_waiter("function_active_v2").wait(FunctionName="greedy", WaiterConfig={"Delay": 0.2})
        told = json.loads(lambdas.invoke(FunctionName="greedy")["Payload"].read())
    finally:
        lambdas.delete_function(FunctionName="greedy")

    assert told["errorType"] == "Runtime.ImportModuleError"
    assert "layers.postgres" in told["errorMessage"]


def test_a_second_deployment_changes_nothing_and_one_of_changed_code_that_function_alone(tmp_path: Path) -> None:
    settings = environment.of_functions(environment.read(profile("test")))
    made = deploy.artifacts(tmp_path)
    told: list[str] = []
    deploy.deploy(made, settings, told.append)
    assert told == ["Nothing has changed"]

    archive = made.paths[HEALTH.logical_id]
    with zipfile.ZipFile(archive, "a") as appended:
        appended.writestr("note.txt", "another state of the code")
    changed = deploy.Artifacts.of(made.paths)
    deploy.deploy(changed, settings, told.append)
    assert told[1:] == ["Code updated: health/get_health"]
    assert functions.invoke(HEALTH, {**_event()}).error is None

    deploy.deploy(made, settings, told.append)
    assert told[2:] == ["Code updated: health/get_health"]


def test_a_changed_layer_is_given_to_the_functions_that_declare_it(tmp_path: Path) -> None:
    settings = environment.of_functions(environment.read(profile("test")))
    made = deploy.artifacts(tmp_path)
    told: list[str] = []
    before = _layers("health/get_detailed"), _layers("images/resize_photo")
    with zipfile.ZipFile(made.paths["RabbitmqLayer"], "a") as appended:
        appended.writestr("python/note.txt", "another state of the layer")
    deploy.deploy(deploy.Artifacts.of(made.paths), settings, told.append)
    after = _layers("health/get_detailed"), _layers("images/resize_photo")
    deploy.deploy(made, settings, told.append)

    assert told == ["Layers updated: rabbitmq"] * 2
    assert after[0] == before[0]
    assert [old for old, new in zip(before[1], after[1], strict=True) if old != new] == [
        arn for arn in before[1] if ":RabbitmqLayer:" in arn
    ]


def _layers(name: str) -> list[str]:
    deployed = cloud.function_name(template_map.function(name).logical_id)
    return [
        layer["Arn"] for layer in cloud.client("lambda").get_function(FunctionName=deployed)["Configuration"]["Layers"]
    ]


def _event() -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / "events/health/get_health.json").read_text())
    return event


def test_a_function_sees_nothing_of_localstacks_own_environment() -> None:
    declared = template_map.template()["Globals"]["Function"]["Environment"]["Variables"]
    variables = cloud.client("lambda").get_function_configuration(FunctionName=cloud.function_name(HEALTH.logical_id))[
        "Environment"
    ]["Variables"]

    assert set(variables) == set(declared)
    assert variables["DATABASE_URL"] == os.environ["DATABASE_URL"]
