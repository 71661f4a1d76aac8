"""The package's settings, read from LocalStack's environment variables."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .sandbox import Runtime, RuntimeUnusable

_FEWEST_ENVIRONMENTS = 8
_BYTES_OF_ENVIRONMENT = 64 * 1024 * 1024  # measured: 52 MB with drivers of three stores
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


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
            environments=int(os.environ.get("PROCESS_EXECUTOR_ENVIRONMENTS") or environments_that_fit(memory_bytes())),
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


def environments_that_fit(memory: int) -> int:
    """How many environments fit into half of this number of bytes, at least 8."""
    return max(_FEWEST_ENVIRONMENTS, memory // 2 // _BYTES_OF_ENVIRONMENT)


def memory_bytes(limits: Sequence[Path] = _CGROUP_LIMITS) -> int:
    """The memory of this machine, or the limit of this container, of which `limits` are the files."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    texts = [path.read_text().strip() for path in limits if path.is_file()]
    return min([machine, *(int(text) for text in texts if text.isdecimal())])


@cache
def _inspect(program: str) -> Runtime:
    return Runtime.inspect(program)


def _pairs(text: str) -> dict[str, str]:
    pairs = [each.strip().partition("=") for each in text.split(",") if each.strip()]
    if invalid := [name for name, _, path in pairs if not path]:
        raise ValueError(f"PROCESS_EXECUTOR_RUNTIMES: {invalid[0]!r} is not of the form name=/path/to/python.")
    return {name.strip(): path.strip() for name, _, path in pairs}
