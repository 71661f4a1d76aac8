"""Commands for developers with deployed functions: invoke, read the log, change the code, deploy again."""

import json
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx

from infra import template_map
from infra.localstack import cloud, deploy, functions
from infra.stack import env_file
from infra.stack.profiles import profile
from layers.core.settings import SECRETS
from tests.support.archives import with_a_further_file
from tests.support.http import api
from tests.support.stack import ROOT

STACK = profile("test")
HEALTH = template_map.function("health/get_health")


def _run(*arguments: str, seconds: float = 30) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False
    )


def test_a_function_is_invoked_by_name_with_its_sample_event() -> None:
    done = _run("infra.invoke", "health/get_health", "--host", "localstack")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["statusCode"] == 200
    assert done.stderr.startswith("START   health/get_health in LocalStack")
    assert '"function":"get_health"' in done.stderr
    assert re.search(r"REPORT  duration [\d.]+ ms; (warm|cold, .+ to import); memory [1-9]\d* MB of", done.stderr)


def test_its_log_lines_carry_the_id_of_the_invocation() -> None:
    start, line, *_ = functions.invoke(HEALTH, _event()).log.splitlines()

    assert json.loads(line)["function_request_id"] == start.split()[2]


def test_with_a_namespace_an_invocation_writes_its_metrics_to_the_log() -> None:
    lambdas, name = cloud.client("lambda"), cloud.function_name(HEALTH.logical_id)
    declared = lambdas.get_function_configuration(FunctionName=name)["Environment"]["Variables"]

    def set_variables(variables: dict[str, str]) -> None:
        lambdas.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
        deploy.wait_for_update(name)

    set_variables({**declared, "METRICS_NAMESPACE": "Photogram"})
    try:
        log = functions.invoke(HEALTH, _event()).log
    finally:
        set_variables(declared)

    [line] = [json.loads(line) for line in log.splitlines() if "CloudWatchMetrics" in line]
    assert line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Photogram"
    assert (line["route"], line["instagram_http_requests_total"]) == ("/api/health", [1])


def test_its_log_is_followed_by_name() -> None:
    trace_id = f"follow-{time.time_ns()}"
    httpx.get(f"{api()}/api/health", headers={"x-trace-id": trace_id}, timeout=30).raise_for_status()
    following = subprocess.Popen(
        [sys.executable, "-m", "infra.follow", "health/get_health", "--host", "localstack"],
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


def test_a_function_cannot_import_a_layer_that_it_does_not_declare(tmp_path: Path) -> None:
    lambdas = cloud.client("lambda")
    like = lambdas.get_function_configuration(FunctionName=cloud.function_name(HEALTH.logical_id))
    archive = tmp_path / "code.zip"
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr(
            "undeclared.py", "import layers.core.ids\nimport layers.postgres.users\ndef handler(*_): pass\n"
        )
    lambdas.create_function(
        FunctionName="undeclared",
        Runtime=like["Runtime"],
        Role=like["Role"],
        Handler="undeclared.handler",
        Code={"ZipFile": archive.read_bytes()},
        Layers=[layer["Arn"] for layer in like["Layers"]],
    )
    try:
        lambdas.get_waiter("function_active_v2").wait(FunctionName="undeclared", WaiterConfig={"Delay": 0.2})
        answer = json.loads(lambdas.invoke(FunctionName="undeclared")["Payload"].read())
    finally:
        lambdas.delete_function(FunctionName="undeclared")

    assert answer["errorType"] == "Runtime.ImportModuleError"
    assert "layers.postgres" in answer["errorMessage"]


def test_a_second_deployment_changes_nothing_and_one_of_changed_code_only_that_function(tmp_path: Path) -> None:
    artifacts = deploy.build_artifacts(tmp_path)
    reports: list[str] = []
    deploy.deploy(STACK, artifacts, reports.append)
    assert reports == ["Nothing differs"]

    deploy.deploy(STACK, with_a_further_file(artifacts, HEALTH.logical_id, tmp_path), reports.append)
    assert reports[1:] == ["Code updated: health/get_health"]
    assert functions.invoke(HEALTH, {**_event()}).error is None

    deploy.deploy(STACK, artifacts, reports.append)
    assert reports[2:] == ["Code updated: health/get_health"]


def test_a_changed_layer_is_attached_to_the_functions_that_declare_it(tmp_path: Path) -> None:
    artifacts = deploy.build_artifacts(tmp_path)
    reports: list[str] = []
    before = _layers("health/get_detailed"), _layers("images/resize_photo")
    deploy.deploy(STACK, with_a_further_file(artifacts, "RabbitmqLayer", tmp_path), reports.append)
    after = _layers("health/get_detailed"), _layers("images/resize_photo")
    deploy.deploy(STACK, artifacts, reports.append)

    assert reports == ["Layers updated: rabbitmq"] * 2
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


def test_a_function_has_only_its_declared_variables() -> None:
    declared = template_map.template()["Globals"]["Function"]["Environment"]["Variables"]
    variables = cloud.client("lambda").get_function_configuration(FunctionName=cloud.function_name(HEALTH.logical_id))[
        "Environment"
    ]["Variables"]

    of_stores = {name.upper() for name in SECRETS} | {"S3_ENDPOINT_URL", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"}
    assert set(variables) == {name for name in declared if not name.endswith("_ARN")} | of_stores
    assert variables["DATABASE_URL"] == env_file.read(STACK)["DATABASE_URL"]
