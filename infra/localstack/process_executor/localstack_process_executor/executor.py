"""The class that LocalStack uses: one executor for each environment that LocalStack knows.

The executor replaces its process after a crash, a timeout or a change of hot-reloaded code, or if the process was ended
because another function needed an environment.
"""

import contextlib
from functools import cache
from pathlib import Path

from localstack import config
from localstack.aws.api.lambda_ import TooManyRequestsException
from localstack.services.lambda_.invocation.lambda_models import (
    FunctionVersion,
    HotReloadingCode,
    InvocationResult,
    RequestEntityTooLargeException,
    S3Code,
)
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

from .environment import Environment, Result
from .hot_reload import Fingerprint, digest, fingerprint, settled_fingerprint
from .layers import Layer, merge, prune
from .pool import Pool, PoolExhausted
from .reports import MAX_REQUEST_BYTES
from .runtime_api import Event
from .sandbox import Function, Sandbox
from .settings import Settings

_HOST = "127.0.0.1"
_INITS_OF_CHANGING_CODE = 5  # a file that an editor had emptied and not written yet could not be imported
# Of the variables that LocalStack passes, those that Lambda sets, and LocalStack's endpoint. The others are for the
# container of LocalStack's Docker executor.
_LAMBDA_VARIABLES = {
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_FORMAT",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_LEVEL",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_XRAY_CONTEXT_MISSING",
    "AWS_XRAY_DAEMON_ADDRESS",
    "_AWS_XRAY_DAEMON_ADDRESS",
    "_AWS_XRAY_DAEMON_PORT",
    "_HANDLER",
}


@cache
def _settings() -> Settings:
    return Settings.from_environment()


@cache
def _pool() -> Pool:
    prune(_settings().state / "layers")
    return Pool(Sandbox.probe(_settings().state), _settings().environments)


class ProcessExecutor(RuntimeExecutor):  # type: ignore[misc]  # LocalStack has no type stubs
    """Runs a function's events in a process of this machine."""

    def __init__(self, id: str, function_version: FunctionVersion) -> None:  # noqa: A002 (LocalStack passes it by name)
        super().__init__(id=id, function_version=function_version)
        self._environment: Environment | None = None
        self._fingerprint: Fingerprint = frozenset()
        self._variables: dict[str, str] = {}
        self._is_stopped = False

    def start(self, env_vars: dict[str, str]) -> None:
        """Start the process; a failed init is reported by `invoke`, whose result can contain its log."""
        self._variables = _variables(self.function_version, env_vars)
        with contextlib.suppress(PoolExhausted):
            environment = self._new_environment()
            environment.initialise()
            environment.release()

    def stop(self) -> None:
        """End the process after the running invocation."""
        self._is_stopped = True
        if self._environment:
            self._environment.retire()

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        """Run one event. A failure of the function is a result: LocalStack answers 500 to an exception.

        Raises RequestEntityTooLargeException (413) and TooManyRequestsException (429).
        """
        event = Event(
            request_id=payload["invoke-id"],
            function_arn=payload["invoked-function-arn"],
            trace_id=payload["trace-id"],
            payload=payload["payload"].encode(),
        )
        if len(event.payload) > MAX_REQUEST_BYTES:
            message = f"Request must be smaller than {MAX_REQUEST_BYTES} bytes for the InvokeFunction operation"
            raise RequestEntityTooLargeException(message)
        try:
            result = self._run(event)
        except PoolExhausted as error:
            raise TooManyRequestsException(
                "Rate Exceeded.", Reason="ConcurrentInvocationLimitExceeded", Type="User"
            ) from error
        return InvocationResult(event.request_id, result.payload, result.is_error, result.log)

    def get_address(self) -> str:
        """The environment's address, for LocalStack."""
        return _HOST

    def get_endpoint_from_executor(self) -> str:
        """LocalStack's address, for the environment."""
        return _HOST

    def get_runtime_endpoint(self) -> str:
        """The URL to which the container of LocalStack's Docker executor reports; not used by this executor."""
        return f"http://{_HOST}:{config.GATEWAY_LISTEN[0].port}/_localstack_lambda/{self.id}"

    def get_logs(self) -> str:
        """Empty: the results of `invoke` contain the logs."""
        return ""

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        """Unpack the code and the layers; raises `RuntimeUnusable`, which fails the function's creation."""
        _settings().runtime(str(function_version.config.runtime))
        function_version.config.code.prepare_for_execution()
        _layers(function_version)

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        """Do nothing: LocalStack removes the code itself."""

    @classmethod
    def validate_environment(cls) -> bool:
        """Check at the start what the machine supports, so that a warning is at the beginning of the log."""
        _pool()
        return True

    def _run(self, event: Event) -> Result:
        environment = self._reserve()
        if environment.init_timed_out:  # as on AWS: a second init within the invocation and its timeout
            environment = self._new_environment()
            environment.initialise(self._timeout_seconds)
            seconds = self._timeout_seconds - environment.age_seconds
        else:
            seconds = self._timeout_seconds
        try:
            return environment.invoke(event, seconds)
        finally:
            environment.release()
            if self._is_stopped:
                environment.retire()

    @property
    def _timeout_seconds(self) -> float:
        return float(self.function_version.config.timeout)

    def _reserve(self) -> Environment:
        """Reserve the environment, or a new one if it has ended or its code has changed."""
        if self._environment and self._fingerprint == self._current_fingerprint() and self._environment.reserve():
            return self._environment
        for _ in range(_INITS_OF_CHANGING_CODE):
            environment = self._new_environment()
            environment.initialise()
            if not environment.init_failed or self._fingerprint == self._current_fingerprint():
                break
        return environment

    def _new_environment(self) -> Environment:
        if self._environment:
            self._environment.retire()
        configuration = self.function_version.config
        self._fingerprint = settled_fingerprint(*self._hot_folders())
        configuration.code.prepare_for_execution()  # unpacks again if the temporary folder was cleaned
        function = Function(
            runtime=_settings().runtime(str(configuration.runtime)),
            code=configuration.code.get_unzipped_code_location(),
            layers=_layers(self.function_version),
            variables=self._variables,
            version=self.function_version.id.qualifier,
            timeout_seconds=configuration.timeout,
            memory_megabytes=configuration.memory_size,
            tmp_megabytes=configuration.ephemeral_storage.size,
        )
        self._environment = _pool().start(function)
        return self._environment

    def _current_fingerprint(self) -> Fingerprint:
        """The fingerprint of hot-reloaded folders; code from zip files never changes."""
        return fingerprint(*self._hot_folders())

    def _hot_folders(self) -> list[Path]:
        configuration = self.function_version.config
        codes = [configuration.code, *(layer.code for layer in configuration.layers)]
        return [code.get_unzipped_code_location() for code in codes if code.is_hot_reloading()]


def _variables(function_version: FunctionVersion, provided: dict[str, str]) -> dict[str, str]:
    """The environment variables of a function: Lambda's, and those that the function declares."""
    configuration = function_version.config
    variables = {name: str(value) for name, value in provided.items() if name in _LAMBDA_VARIABLES}
    variables["AWS_EXECUTION_ENV"] = f"AWS_Lambda_{configuration.runtime}"
    return variables | (configuration.environment or {})


def _layers(function_version: FunctionVersion) -> Path | None:
    layers = [_layer(version.code) for version in function_version.config.layers]
    return merge(layers, _settings().state / "layers")


def _layer(code: S3Code | HotReloadingCode) -> Layer:
    def unpack() -> Path:
        code.prepare_for_execution()
        return Path(code.get_unzipped_code_location())

    if code.is_hot_reloading():
        folder = code.get_unzipped_code_location()
        return Layer(digest(fingerprint(folder)), unpack, str(folder))
    return Layer(code.code_sha256, unpack)
