"""`make dev HOST=localstack`: functions in LocalStack run the code as it is edited."""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from infra import template_map
from infra.localstack import deploy, deployment, functions
from infra.stack.profiles import profile
from tests.support.hosts import copy_of_the_code
from tests.support.http import api
from tests.support.stack import ROOT
from tests.support.waiting import until

ANSWERING = """
def handler(event, context):
    return {{"statusCode": 200, "body": '{{"status": "{}"}}'}}
"""
STACK = profile("test")
HEALTH = template_map.function("health/get_health")


class Watching(msgspec.Struct, frozen=True):
    """A copy of the code whose edits functions in LocalStack run."""

    code: Path
    log_file: Path

    @property
    def log(self) -> str:
        """What the command has printed."""
        return self.log_file.read_text()


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    """The command of `make dev HOST=localstack` for a copy of the code; at the end zip files are deployed again."""
    folder = tmp_path_factory.mktemp("watched")
    folder.chmod(0o755)  # a function is not root
    last = deployment.load(STACK)
    assert last
    artifacts = last.artifacts(STACK)
    started = Watching(copy_of_the_code(folder), folder / "log")
    with started.log_file.open("w") as log:
        command = [sys.executable, "-m", "infra.localstack.watch", "--profile", "test", "--code", str(started.code)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    try:
        until(lambda: "run from their folders" in started.log, seconds=120)
        yield started
    finally:
        process.kill()
        process.wait()
        with deployment.lock(STACK):
            deploy.deploy(STACK, artifacts, print)


def _health() -> Any:
    return httpx.get(f"{api()}/api/health", timeout=30).json()


def _has_status(status: str) -> bool:
    return bool(_health().get("status") == status)


def _is_cached(name: str) -> bool:
    return httpx.get(f"{api()}/api/health", timeout=30).headers["cache-control"] == name


@contextlib.contextmanager
def _refuses_nothing() -> Iterator[None]:
    """Two clients ask all the time; at the end, each of their requests was answered with 200."""
    ended = threading.Event()

    def ask() -> list[int]:
        statuses = []
        while not ended.is_set():
            statuses.append(httpx.get(f"{api()}/api/health", timeout=30).status_code)
        return statuses

    with ThreadPoolExecutor(2) as clients:
        asked = [clients.submit(ask) for _ in range(2)]
        try:
            yield
        finally:
            ended.set()
    statuses = [status for each in asked for status in each.result()]
    assert statuses
    assert set(statuses) == {200}


def _event() -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / "events/health/get_health.json").read_text())
    return event


@pytest.mark.timeout(300)
def test_each_edit_of_a_function_is_the_answer_however_quickly_they_follow(watching: Watching) -> None:
    edited = watching.code / "functions/health/get_health.py"
    with _refuses_nothing():
        for status in ("first", "second", "third"):
            edited.write_text(ANSWERING.format(status))
            until(partial(_has_status, status), seconds=20)
        for number in range(20):
            edited.write_text(ANSWERING.format(number))
        until(partial(_has_status, "19"), seconds=20)

    edited.write_text((ROOT / "functions/health/get_health.py").read_text())
    until(partial(_has_status, "ok"), seconds=20)


@pytest.mark.timeout(300)
def test_each_edit_of_a_layer_is_in_the_answer_however_quickly_they_follow(watching: Watching) -> None:
    edited = watching.code / "layers/entrypoints/http.py"
    original = edited.read_text()
    assert '"no-store"' in original
    with _refuses_nothing():
        for name in ("first", "second", "third"):
            edited.write_text(original.replace('"no-store"', f'"{name}"'))
            until(partial(_is_cached, name), seconds=20)
        for number in range(20):
            edited.write_text(original.replace('"no-store"', f'"{number}"'))
        until(partial(_is_cached, "19"), seconds=20)

    edited.write_text(original)
    until(partial(_is_cached, "no-store"), seconds=20)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["functions/health/get_health.py", "layers/entrypoints/http.py"])
def test_a_syntax_error_is_printed_and_is_the_answer(watching: Watching, name: str) -> None:
    edited = watching.code / name
    edited.write_text("def broken(:\n")

    until(lambda: f'{name}", line 1' in watching.log and "SyntaxError" in watching.log, seconds=20)
    failed = until(lambda: outcome if (outcome := functions.invoke(HEALTH, _event())).error else None, seconds=20)
    assert "Syntax" in failed.payload["errorType"]
    edited.write_text((ROOT / name).read_text())
    until(lambda: not functions.invoke(HEALTH, _event()).error, seconds=20)


@pytest.mark.timeout(300)
def test_functions_get_their_folders_again_after_zip_files_were_deployed(watching: Watching) -> None:
    last = deployment.load(STACK)
    assert last
    with deployment.lock(STACK):
        deploy.deploy(STACK, last.artifacts(STACK), print)
    edited = watching.code / "functions/health/get_health.py"
    edited.write_text(ANSWERING.format("again"))

    until(partial(_has_status, "again"), seconds=60)
    edited.write_text((ROOT / "functions/health/get_health.py").read_text())
