"""The package's settings, read from LocalStack's environment variables."""

import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .sandbox import Runtime, RuntimeUnusable

_DEFAULT_ENVIRONMENTS = 24


@dataclass(frozen=True)
class Settings:
    """The settings; `runtimes` maps the name of a Lambda runtime to the path of its interpreter."""

    runtimes: dict[str, str]
    environments: int
    state: Path

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read PROCESS_EXECUTOR_*; raises `ValueError` for an invalid value."""
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
                f"PROCESS_EXECUTOR_RUNTIMES names no interpreter for {name}. Set it to "
                f"{name}=/path/to/python, a Python with awslambdaric; separate several entries by commas."
            )
        return _inspect(program)


@cache
def _inspect(program: str) -> Runtime:
    return Runtime.inspect(program)


def _pairs(text: str) -> dict[str, str]:
    pairs = [each.strip().partition("=") for each in text.split(",") if each.strip()]
    if invalid := [name for name, _, path in pairs if not path]:
        raise ValueError(f"PROCESS_EXECUTOR_RUNTIMES: {invalid[0]!r} is not of the form name=/path/to/python.")
    return {name.strip(): path.strip() for name, _, path in pairs}
