"""Where LocalStack finds the executor: LAMBDA_RUNTIME_EXECUTOR=process."""

from typing import Any

from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin


class ProcessExecutorPlugin(RuntimeExecutorPlugin):  # type: ignore[misc]  # untyped
    """Named `process`."""

    name = "process"

    def load(self, *_: Any, **__: Any) -> Any:
        """The executor; imported when it is chosen."""
        from localstack_process_executor.executor import ProcessExecutor  # noqa: PLC0415

        return ProcessExecutor
