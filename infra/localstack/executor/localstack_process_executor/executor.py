"""What LocalStack calls: it makes one executor per execution environment, and keeps and expires them itself."""

import functools
import logging
import shutil
from pathlib import Path
from typing import Any

from localstack import config
from localstack.aws.api.lambda_ import RequestTooLargeException
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, InvocationResult
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

from localstack_process_executor import layers, sandbox
from localstack_process_executor.environment import Environment, Invocation, Limits
from localstack_process_executor.failures import PAYLOAD_BYTES
from localstack_process_executor.fleet import Fleet
from localstack_process_executor.settings import Settings

LOG = logging.getLogger(__name__)

_HOST = "127.0.0.1"
_OWN = ("LOCALSTACK_", "EDGE_PORT")
"""Variables that LocalStack's own runtime client reads."""


@functools.cache
def _settings() -> Settings:
    """LocalStack's, and an empty state folder: what lies there is of a LocalStack that has ended."""
    settings = Settings()
    shutil.rmtree(settings.state, ignore_errors=True)
    settings.state.mkdir(parents=True)
    return settings


@functools.cache
def _fleet() -> Fleet:
    return Fleet(_settings().environments)


class ProcessExecutor(RuntimeExecutor):  # type: ignore[misc]  # untyped
    """An execution environment as LocalStack sees it."""

    def __init__(self, id: str, function_version: FunctionVersion) -> None:  # noqa: A002 (LocalStack's name)
        super().__init__(id, function_version)
        self._environment: Environment | None = None

    def start(self, env_vars: dict[str, Any]) -> None:
        """Import the function. One that cannot be imported says so when it is invoked, with its log."""
        settings, function = _settings(), self.function_version.config
        runtime = str(function.runtime)
        self._environment = Environment(
            version=self.function_version.id.qualifier,
            folders=sandbox.Folders(
                code=function.code.get_unzipped_code_location(),
                layers=_layers(self.function_version),
                python=settings.python_of(runtime),
                quota_mb=function.ephemeral_storage.size,
                is_edited=function.code.is_hot_reloading(),
            ),
            limits=Limits(timeout_seconds=function.timeout, memory_mb=function.memory_size),
            variables=_variables(env_vars, runtime),
            state=settings.state,
        )
        _fleet().use(self._environment)
        self._environment.start()

    def stop(self) -> None:
        """End it."""
        if self._environment:
            _fleet().leave(self._environment)
            self._environment.close()

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        """Raises nothing but AWS's refusal of a large request: LocalStack ends an environment that raises."""
        event = payload["payload"].encode()
        if len(event) > PAYLOAD_BYTES:
            raise RequestTooLargeException(
                f"Request must be smaller than {PAYLOAD_BYTES} bytes for the InvokeFunction operation"
            )
        assert self._environment  # noqa: S101 (LocalStack starts before it invokes)
        _fleet().use(self._environment)
        request_id = payload["invoke-id"]
        result = self._environment.invoke(
            Invocation(
                request_id=request_id,
                payload=event,
                function_arn=payload["invoked-function-arn"],
                trace_id=payload["trace-id"],
            )
        )
        return InvocationResult(request_id, result.payload, is_error=result.is_error, logs=result.log)

    def get_logs(self) -> str:
        """Nothing: every invocation's log is in its result."""
        return ""

    def get_address(self) -> str:
        """Where the environment is."""
        return _HOST

    def get_endpoint_from_executor(self) -> str:
        """Where LocalStack is for the function."""
        return _HOST

    def get_runtime_endpoint(self) -> str:
        """Where LocalStack's own runtime client would call; ours has a port of its own."""
        return f"http://{_HOST}:{config.GATEWAY_LISTEN[0].port}/_localstack_lambda/{self.id}"

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        """Unzip its code and layers; raises `UnknownRuntime`, which LocalStack shows as the function's state."""
        _settings().python_of(str(function_version.config.runtime))
        function_version.config.code.prepare_for_execution()
        _layers(function_version)

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        """Nothing: LocalStack removes the code, and other functions may use the same layers."""

    @classmethod
    def validate_environment(cls) -> bool:
        """Whether functions can run here."""
        if not _settings().runtimes:
            LOG.warning("PROCESS_EXECUTOR_RUNTIMES names no Python: no function can run")
        return bool(_settings().runtimes)


def _layers(function_version: FunctionVersion) -> Path:
    """Its layers as one folder."""
    for layer in function_version.config.layers:
        layer.code.prepare_for_execution()
    folders = [layer.code.get_unzipped_code_location() for layer in function_version.config.layers]
    return layers.merged(folders, _settings().state / "layers")


def _variables(given: dict[str, Any], runtime: str) -> dict[str, str]:
    """What Lambda sets and the function declares."""
    kept = {name: str(value) for name, value in given.items() if not name.startswith(_OWN)}
    return {**kept, "AWS_EXECUTION_ENV": f"AWS_Lambda_{runtime}"}
