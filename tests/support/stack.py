"""The test stack's environment: `make test` starts it, `python -m infra.stack up --profile test` by hand."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def load_environment() -> None:
    """Put the settings of the test profile into this process's environment; a stack that is not up is an error.

    The accounts in the stores are the administrator's: tests look at what functions may not.
    """
    if os.environ.get("DATABASE_URL"):
        return
    completed = subprocess.run(
        [sys.executable, "-m", "infra.stack", "env", "--profile", "test", "--admin"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if completed.returncode:
        message = f"The test stack is not up; start it with `make test-stack`.\n{completed.stderr}"
        raise RuntimeError(message)
    for line in completed.stdout.splitlines():
        name, _, value = line.partition("=")
        if name.isidentifier():
            os.environ.setdefault(name, value)
