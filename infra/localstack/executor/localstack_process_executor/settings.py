"""What whoever starts LocalStack may set."""

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path


class UnknownRuntime(Exception):
    """No Python was named for a function's runtime."""


def _runtimes() -> dict[str, Path]:
    """`python3.13=/path/to/bin/python,…`"""
    given = os.environ.get("PROCESS_EXECUTOR_RUNTIMES", "")
    return {name.strip(): Path(path) for name, _, path in (each.partition("=") for each in given.split(",") if each)}


@dataclass(frozen=True)
class Settings:
    """Of this LocalStack."""

    runtimes: dict[str, Path] = field(default_factory=_runtimes)
    """Runtime to its Python, which has `awslambdaric` and whatever else AWS's runtime brings."""
    state: Path = field(
        default_factory=lambda: Path(
            os.environ.get("PROCESS_EXECUTOR_STATE") or Path(tempfile.gettempdir()) / "localstack-process-executor"
        )
    )
    """The merged layers, and the folders that stand in for `/tmp` where there are no namespaces."""
    environments: int = field(default_factory=lambda: int(os.environ.get("PROCESS_EXECUTOR_ENVIRONMENTS") or 24))
    """How many may be alive at once; of more, the one that was idle longest ends."""

    def python_of(self, runtime: str) -> Path:
        """The Python of a runtime; raises `UnknownRuntime`."""
        if runtime not in self.runtimes:
            known = ", ".join(sorted(self.runtimes)) or "none is set"
            raise UnknownRuntime(
                f"No Python for the runtime {runtime} ({known}). Make one with awslambdaric and say "
                f"PROCESS_EXECUTOR_RUNTIMES={runtime}=/path/to/bin/python"
            )
        return self.runtimes[runtime]
