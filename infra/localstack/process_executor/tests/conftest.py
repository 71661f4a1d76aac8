"""Fixtures: real environments and a real LocalStack."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from localstack_process_executor import sandbox as sandboxes
from localstack_process_executor.environment import Environment, Result
from localstack_process_executor.inside import memory
from localstack_process_executor.runtime_api import Event
from localstack_process_executor.sandbox import Function, Runtime, Sandbox
from localstack_process_executor.settings import Settings

_START_SECONDS = 60


@dataclass
class EnvironmentFactory:
    """Creates environments from source text, and ends them."""

    folder: Path
    runtime: Runtime
    sandbox: Sandbox

    def __post_init__(self) -> None:
        self.environments: list[Environment] = []

    def function(self, source: str, variables: dict[str, str] | None = None, **limits: Any) -> Function:
        """A function with the module `app`; the source must contain `def handler`."""
        code = self.folder / f"code-{len(list(self.folder.iterdir()))}"
        code.mkdir()
        (code / "app.py").write_text(textwrap.dedent(source))
        settings: dict[str, Any] = {"runtime": self.runtime, "code": code, "layers": None} | limits
        return Function(variables={"_HANDLER": "app.handler"} | (variables or {}), **settings)

    def environment(self, source: str, **limits: Any) -> Environment:
        """Start and initialise an environment."""
        environment = self.start(self.function(source, **limits))
        environment.initialise()
        return environment

    def start(self, function: Function) -> Environment:
        """Start an environment without waiting for its init."""
        environment = Environment(function, self.sandbox)
        self.environments.append(environment)
        return environment


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The settings, with the runtime to test with."""
    settings = Settings.from_environment()
    if "python3.13" not in settings.runtimes:
        pytest.exit("Set PROCESS_EXECUTOR_RUNTIMES=python3.13=/path/to/python, a Python with awslambdaric.", 1)
    return settings


@pytest.fixture(scope="session")
def runtime(settings: Settings) -> Runtime:
    """The Python that runs the functions."""
    return settings.runtime("python3.13")


@pytest.fixture(params=["namespaces", "plain"])
def factory(request: pytest.FixtureRequest, tmp_path: Path, runtime: Runtime) -> Iterator[EnvironmentFactory]:
    """A factory with the best isolation of this machine, and one without namespaces."""
    sandbox = Sandbox.probe(tmp_path / "state")
    if request.param == "plain":
        sandbox = Sandbox(sandbox.state, ())
    elif not sandbox.unshare:
        pytest.skip("This machine does not allow namespaces.")
    with _factory(tmp_path, runtime, sandbox) as factory:
        yield factory


@pytest.fixture
def plain(tmp_path: Path, runtime: Runtime) -> Iterator[EnvironmentFactory]:
    """A factory without namespaces."""
    with _factory(tmp_path, runtime, Sandbox(tmp_path / "state", ())) as factory:
        yield factory


@pytest.fixture(params=[sandboxes.NAMESPACES, sandboxes.USER_NAMESPACE], ids=["root", "user"])
def namespaced(request: pytest.FixtureRequest, tmp_path: Path, runtime: Runtime) -> Iterator[EnvironmentFactory]:
    """A factory with each kind of namespaces."""
    sandbox = Sandbox(tmp_path / "state", request.param)
    if reason := sandbox.find_problem():
        pytest.skip(reason)
    with _factory(tmp_path, runtime, sandbox) as factory:
        yield factory


@contextlib.contextmanager
def _factory(tmp_path: Path, runtime: Runtime, sandbox: Sandbox) -> Iterator[EnvironmentFactory]:
    folder = tmp_path / "functions"
    folder.mkdir()
    factory = EnvironmentFactory(folder, runtime, sandbox)
    yield factory
    for environment in factory.environments:
        environment.stop()


@pytest.fixture
def invoke() -> Callable[..., Result]:
    """A function that invokes an environment."""

    def invoke(environment: Environment, payload: bytes = b"{}", seconds: float | None = None) -> Result:
        event = Event(request_id="id-1", function_arn="arn:f", trace_id="Root=1", payload=payload)
        return environment.invoke(event, seconds)

    return invoke


def is_running(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def processes(text: str) -> list[int]:
    """The ids of the running processes whose command line contains the text."""
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if text.encode() in (folder / "cmdline").read_bytes() and is_running(int(folder.name)):
                pids.append(int(folder.name))
    return pids


@pytest.fixture
def running() -> Callable[[str], list[int]]:
    """A function that returns the ids of processes whose command line contains a text."""
    return processes


class LocalStack:
    """A LocalStack in host mode on a free port, with this executor."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.state = folder / "state"
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.log = folder / "log"
        variables = {
            "DISABLE_EVENTS": "1",
            "DNS_ADDRESS": "0",
            "EAGER_SERVICE_LOADING": "0",
            "FS_ROOT": str(folder / "files"),
            "GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
            "HOME": str(folder),
            "LAMBDA_KEEPALIVE_MS": "1000",
            "LAMBDA_RUNTIME_EXECUTOR": "process",
            "PATH": os.environ["PATH"],
            "PROCESS_EXECUTOR_ENVIRONMENTS": "4",
            "PROCESS_EXECUTOR_RUNTIMES": ",".join(f"{name}={path}" for name, path in settings.runtimes.items()),
            "PROCESS_EXECUTOR_STATE": str(self.state),
            "SECRET_OF_THE_HOST": "1",
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "TMPDIR": str(self.temporary),
        }
        if path := os.environ.get("PYTHONPATH"):
            variables["PYTHONPATH"] = path  # the package may be installed outside LocalStack's virtual environment
        with self.log.open("w") as log:
            command = [sys.executable, "-m", "localstack.runtime.main"]
            self._process = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
        self._wait_until_ready()

    def client(self, service: str) -> Any:
        """A boto3 client."""
        create: Any = boto3.client  # its type stubs accept only literal names
        return create(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="eu-central-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106
            config=Config(retries={"max_attempts": 0}),
        )

    def runtimes(self) -> list[int]:
        """The ids of its descendants that run functions."""
        return sorted(set(processes("bootstrap.py")) & set(memory.descendants(self._process.pid)))

    def end(self, number: int) -> list[int]:
        """Send the signal and wait; those of its descendants that still run."""
        before = memory.descendants(self._process.pid)
        self._process.send_signal(number)
        self._process.wait(20)
        ends_at = time.monotonic() + 2
        while (remaining := [pid for pid in before if is_running(pid)]) and time.monotonic() < ends_at:
            time.sleep(0.02)
        return remaining

    def _wait_until_ready(self) -> None:
        ends_at = time.monotonic() + _START_SECONDS
        while time.monotonic() < ends_at and self._process.poll() is None:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_localstack/health", timeout=1).close()
                return
            time.sleep(0.1)
        self._process.kill()
        raise RuntimeError(self.log.read_text())


@pytest.fixture(scope="session")
def start_localstack(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Callable[[], LocalStack]:
    """A function that starts a LocalStack for one test."""
    """A function that starts a LocalStack for one test."""
    return lambda: LocalStack(tmp_path_factory.mktemp("localstack"), settings)


@pytest.fixture(scope="session")
def localstack(start_localstack: Callable[[], LocalStack]) -> Iterator[LocalStack]:
    """A LocalStack shared by all tests; at the end, checks that it leaves no processes behind."""
    localstack = start_localstack()
    yield localstack
    assert localstack.end(signal.SIGTERM) == []  # noqa: S101
