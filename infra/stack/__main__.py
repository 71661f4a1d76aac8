"""Starts, stops and checks a profile's stack.

python -m infra.stack {up,restart,down,status,clean,env,logs} --profile run|test
"""

import argparse
import os
import sys
from pathlib import Path

from infra.stack import env_file, lifecycle, supervision
from infra.stack.lifecycle import StackFailed
from infra.stack.profiles import Profile, profile


def main() -> int:
    """Run the command; 0 on success."""
    parser = argparse.ArgumentParser(prog="python -m infra.stack", description=__doc__)
    parser.add_argument("verb", choices=["up", "restart", "down", "status", "clean", "env", "logs"])
    parser.add_argument("--profile", choices=["run", "test"], default="run")
    parser.add_argument("--only", choices=["stores"], help="up: no migrations and no function hosts")
    parser.add_argument("--reload", action="store_true", help="up: restart the hosts when the code changes")
    parser.add_argument("--admin", action="store_true", help="env: with the administrator's accounts in the stores")
    parser.add_argument("--yes", action="store_true", help="clean: do not ask for confirmation")
    parser.add_argument("program", nargs="*", help="logs: only of these programs")
    arguments = parser.parse_intermixed_args()
    try:
        chosen = profile(arguments.profile)
        match arguments.verb:
            case "up":
                with lifecycle.lock(chosen):
                    lifecycle.up(chosen, arguments.only or "hosts", reloads=arguments.reload)
            case "restart":
                with lifecycle.lock(chosen):
                    lifecycle.restart(chosen)
            case "down":
                with lifecycle.lock(chosen):
                    lifecycle.down(chosen)
            case "status":
                return lifecycle.status(chosen)
            case "clean":
                with lifecycle.lock(chosen):
                    lifecycle.clean(chosen, confirmed=arguments.yes)
            case "env":
                print_settings(chosen, as_admin=arguments.admin)
            case _:
                follow_logs(chosen, arguments.program)
    except lifecycle.ERRORS as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


def print_settings(profile: Profile, *, as_admin: bool) -> None:
    """Print the functions' settings as KEY=value lines; raises `StackFailed` if the stack does not run."""
    values = env_file.read(profile)
    if not values or supervision.connect(profile) is None:
        raise StackFailed(f"The stack does not run. Start it with: {profile.start_command}")
    for name, value in env_file.for_account(values, is_admin=as_admin).items():
        print(f"{name}={value}")


def follow_logs(profile: Profile, programs: list[str]) -> None:
    """Print the programs' logs (all if empty) until interrupted; raises `StackFailed` if there are none."""
    logs = sorted((profile.state / "logs").glob("*.log"))
    chosen = [path for path in logs if not programs or _program(path) in programs]
    if not logs:
        raise StackFailed(f"There are no logs in {profile.state}/logs: the stack was never started")
    if not chosen:
        known = ", ".join(sorted({_program(path) for path in logs}))
        raise StackFailed(f"There is no log of {' or '.join(programs)}. Programs with a log: {known}")
    os.execvp("tail", ["tail", "-n", "20", "-F", *map(str, chosen)])  # noqa: S606 (tail replaces this process)


def _program(log: Path) -> str:
    return log.stem.partition("-")[0]


if __name__ == "__main__":
    sys.exit(main())
