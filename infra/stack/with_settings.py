"""Runs a module with the settings of a running stack.

python -m infra.stack.with_settings [--profile run|test] [--admin] MODULE [ARGUMENT …]
"""

import argparse
import os
import sys

from infra.stack import env_file, supervision
from infra.stack.profiles import profile


def main() -> None:
    """Execute the module in place of this process."""
    parser = argparse.ArgumentParser(prog="python -m infra.stack.with_settings", description=__doc__)
    parser.add_argument("--profile", choices=["run", "test"], default="run")
    parser.add_argument("--admin", action="store_true", help="with the administrator's accounts in the stores")
    parser.add_argument("module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    chosen = profile(arguments.profile)
    if supervision.connect(chosen) is None:
        sys.exit(f"The stack does not run. Start it with: {chosen.start_command}")
    settings = env_file.for_account(env_file.read(chosen), is_admin=arguments.admin)
    command = [sys.executable, "-m", arguments.module, *arguments.arguments]
    os.execve(sys.executable, command, {**os.environ, **settings})  # noqa: S606 (it replaces this process)


if __name__ == "__main__":
    main()
