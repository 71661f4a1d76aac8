"""What is deployed in LocalStack survives its end, and what differs from the deployment is named and mended."""

import contextlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from infra import template_map
from infra.localstack import cloud, deploy, deployment
from infra.localstack.deployment import Artifacts
from infra.localstack.observed import Observed
from infra.stack.profiles import profile
from tests.support import services
from tests.support.archives import with_a_further_file
from tests.support.http import nginx_origin
from tests.support.stack import ROOT
from tests.support.waiting import until

STACK = profile("test")
HEALTH = template_map.function("health/get_health")
LIKE_POST = template_map.function("posts/like_post")
DEPLOYED_SECONDS = 300


def _status() -> tuple[int, str]:
    """Exit status and output of the command that `make status` runs."""
    command = [sys.executable, "-m", "infra.localstack", "status", "--profile", "test"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def _deployed() -> Artifacts:
    """The zip files of the last deployment."""
    last = deployment.load(STACK)
    assert last
    return last.artifacts(STACK)


@pytest.fixture
def original(tmp_path: Path) -> Iterator[Artifacts]:
    """Copies of the deployed zip files, which are deployed again at the end."""
    deployed = _deployed()
    paths = {name: Path(shutil.copy(path, tmp_path)) for name, path in deployed.paths.items()}
    yield Artifacts(paths, deployed.digests)
    _deploy(Artifacts(paths, deployed.digests))


def _deploy(artifacts: Artifacts) -> list[str]:
    """Deploy these zip files when nothing else is being deployed; what was reported."""
    reports: list[str] = []
    with deployment.lock(STACK):
        deploy.deploy(STACK, artifacts, reports.append)
    return reports


def _has_started_after(ended: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return services.process("localstack").pid != ended.pid and services.answers("localstack")
    return False


@pytest.mark.timeout(600)
def test_it_comes_back_after_a_kill_with_what_was_deployed_and_not_with_the_code_of_now(
    original: Artifacts, tmp_path: Path
) -> None:
    changed = with_a_further_file(original, HEALTH.logical_id, tmp_path)
    _deploy(changed)
    before, url = Observed.read(), cloud.api_url()
    killed = services.process("localstack")
    killed.kill()

    until(lambda: _has_started_after(killed), seconds=60)
    assert _status()[0] == 1
    until(lambda: _status()[0] == 0, seconds=DEPLOYED_SECONDS, every=1)
    after = Observed.read()
    assert after.functions[cloud.function_name(HEALTH.logical_id)]["CodeSha256"] == changed.sha256(HEALTH.logical_id)
    assert after.functions.keys() == before.functions.keys()
    assert after.routes == before.routes
    assert httpx.get(f"{url}/api/health", timeout=30).json()["status"] == "ok"
    assert httpx.get(f"{nginx_origin()}/api/health").status_code == 200


def test_the_status_tells_what_is_deployed() -> None:
    last = deployment.load(STACK)
    assert last

    status, text = _status()

    assert status == 0
    assert f"{len(template_map.functions())} functions" in text
    assert f"{last.at:%Y-%m-%d %H:%M:%S} UTC" in text
    assert cloud.api_url() in text
    assert "changed" not in text


def test_what_was_changed_by_hand_is_named_and_mended(original: Artifacts, tmp_path: Path) -> None:
    lambdas, name = cloud.client("lambda"), cloud.function_name(LIKE_POST.logical_id)
    before = Observed.read()
    lambdas.update_function_configuration(FunctionName=name, Timeout=7, Environment={"Variables": {"A": "1"}})
    deploy.wait_for_update(name)
    foreign = tmp_path / "foreign.zip"
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("get_health.py", "def handler(*_): return 1")
    lambdas.update_function_code(
        FunctionName=cloud.function_name(HEALTH.logical_id), ZipFile=foreign.read_bytes(), Publish=False
    )
    deploy.wait_for_update(cloud.function_name(HEALTH.logical_id))

    _, text = _status()
    assert "posts/like_post (Environment, Timeout)" in text
    assert "health/get_health (CodeSha256)" in text
    [report] = _deploy(original)
    assert "posts/like_post (Environment, Timeout)" in report
    assert "health/get_health (CodeSha256)" in report
    assert before.differences(Observed.read()) == {}
    assert "changed" not in _status()[1]


@pytest.mark.timeout(600)
def test_a_route_that_was_deleted_by_hand_is_named_and_comes_back(original: Artifacts) -> None:
    gateway = cloud.client("apigateway")
    pages = gateway.get_paginator("get_resources").paginate(restApiId=cloud.API_ID)
    resource = next(each for page in pages for each in page["items"] if each["path"] == "/api/health/live")
    gateway.delete_method(restApiId=cloud.API_ID, resourceId=resource["id"], httpMethod="GET")
    assert "GET /api/health/live (missing)" in _status()[1]

    _deploy(original)

    assert "missing" not in _status()[1]
    assert httpx.get(f"{cloud.api_url()}/api/health/live", timeout=30).status_code == 200


def test_all_its_files_are_in_the_state_folder() -> None:
    localstack = services.process("localstack")
    descriptors = Path(f"/proc/{localstack.pid}/fd").iterdir()
    open_files = {
        target
        for descriptor in descriptors
        if (target := _target(descriptor)).startswith("/") and not target.startswith(("/dev/", "/proc/"))
    }

    assert open_files
    assert {path for path in open_files if not path.startswith(str(STACK.state))} == set()
    assert localstack.environ()["TMPDIR"].startswith(str(STACK.state))


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:  # it was closed meanwhile
        return ""
