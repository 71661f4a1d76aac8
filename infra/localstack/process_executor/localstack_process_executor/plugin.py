"""How LocalStack finds the executor: LAMBDA_RUNTIME_EXECUTOR=process."""

from typing import Any

from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin


class ProcessExecutorPlugin(RuntimeExecutorPlugin):  # type: ignore[misc]  # LocalStack has no type stubs
    """The plugin; what it loads is imported at first use, as LocalStack looks at all plugins when it starts."""

    name = "process"

    def load(self, *_args: Any, **_kwargs: Any) -> type:
        """The executor's class."""
        from .executor import ProcessExecutor  # noqa: PLC0415

        return ProcessExecutor
