"""Runs a module with the settings of a running stack.

python -m infra.stack.with_settings [--profile run|test] MODULE [ARGUMENT …]
"""

import argparse
import os
import sys

from infra.stack import environment, supervision
from infra.stack.profiles import profile


def main() -> None:
    """Become that module's process."""
    parser = argparse.ArgumentParser(prog="python -m infra.stack.with_settings", description=__doc__)
    parser.add_argument("--profile", choices=["run", "test"], default="run")
    parser.add_argument("module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    chosen = profile(given.profile)
    if supervision.connect(chosen) is None:
        sys.exit(f"The stack is not up: python -m infra.stack up --profile {chosen.name}")
    settings = environment.of_functions(environment.read(chosen))
    command = [sys.executable, "-m", given.module, *given.arguments]
    os.execve(sys.executable, command, {**os.environ, **settings})  # noqa: S606 (it becomes the module)


if __name__ == "__main__":
    main()
