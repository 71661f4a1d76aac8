"""The plugin by which LocalStack finds the executor, with LAMBDA_RUNTIME_EXECUTOR=process."""

from typing import Any

from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin


class ProcessExecutorPlugin(RuntimeExecutorPlugin):  # type: ignore[misc]  # LocalStack has no type stubs
    """The plugin. It imports the executor in `load`, because LocalStack imports all plugins when it starts."""

    name = "process"

    def load(self, *_args: Any, **_kwargs: Any) -> type:
        """Import and return the executor's class."""
        from .executor import ProcessExecutor  # noqa: PLC0415

        return ProcessExecutor
