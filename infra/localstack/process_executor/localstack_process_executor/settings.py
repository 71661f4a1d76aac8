"""The package's settings, from LocalStack's environment variables."""

import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .sandbox import Runtime, RuntimeUnusable

_DEFAULT_ENVIRONMENTS = 24


@dataclass(frozen=True)
class Settings:
    """`runtimes` maps a Lambda runtime's name to its interpreter's path."""

    runtimes: dict[str, str]
    environments: int
    state: Path

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read PROCESS_EXECUTOR_*; raises ValueError for what cannot be read."""
        state = f"{tempfile.gettempdir()}/localstack-process-executor-{os.getuid()}"
        return cls(
            runtimes=_pairs(os.environ.get("PROCESS_EXECUTOR_RUNTIMES", "")),
            environments=int(os.environ.get("PROCESS_EXECUTOR_ENVIRONMENTS") or _DEFAULT_ENVIRONMENTS),
            state=Path(os.environ.get("PROCESS_EXECUTOR_STATE") or state),
        )

    def runtime(self, name: str) -> Runtime:
        """The runtime of that name; raises `RuntimeUnusable`."""
        program = self.runtimes.get(name)
        if program is None:
            raise RuntimeUnusable(
                f"PROCESS_EXECUTOR_RUNTIMES names no interpreter for {name}: set it to "
                f"{name}=/path/to/python, a Python with awslambdaric (several are separated by commas)."
            )
        return _inspected(program)


@cache
def _inspected(program: str) -> Runtime:
    return Runtime.inspect(program)


def _pairs(text: str) -> dict[str, str]:
    pairs = [each.strip().partition("=") for each in text.split(",") if each.strip()]
    if wrong := [name for name, _, path in pairs if not path]:
        raise ValueError(f"PROCESS_EXECUTOR_RUNTIMES: {wrong[0]!r} is not of the form name=/path/to/python.")
    return {name.strip(): path.strip() for name, _, path in pairs}
