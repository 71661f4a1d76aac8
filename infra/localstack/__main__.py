"""Runs the functions in LocalStack: its stores, LocalStack and the deployed template; or ends that.

python -m infra.localstack {up,down} [--profile run|test]
"""

import argparse
import sys
import time

from infra import stack_settings
from infra.localstack import cloud, deploy, environments
from infra.stack import __main__ as stack
from infra.stack import commands, environment
from infra.stack.profiles import profile


def main() -> int:
    """Do what the arguments say; 0 if all is well."""
    parser = argparse.ArgumentParser(prog="python -m infra.localstack", description=__doc__)
    parser.add_argument("verb", choices=["up", "down"])
    parser.add_argument("--profile", choices=["run", "test"], default="run")
    given = parser.parse_args()
    chosen = profile(given.profile)
    if given.verb == "down":
        stack.leave_localstack(chosen)
        return 0
    if not environments.are_installed():
        print("LocalStack is not installed; run: make localstack", file=sys.stderr)
        return 1
    started = time.monotonic()
    try:
        stack.up(chosen, "localstack")
        stack_settings.use(given.profile)
        made = deploy.artifacts(chosen.state / "localstack" / "artifacts")
        print(f"{len(made.paths)} zip files after {time.monotonic() - started:.1f} s", flush=True)
        deploy.deploy(made, environment.of_functions(environment.read(chosen)), lambda line: print(line, flush=True))
    except (*stack.TROUBLES, deploy.Failed, commands.Failed, cloud.NotDeployed, *cloud.AWAY) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    print(f"Deployed in {time.monotonic() - started:.1f} s: {cloud.api_url()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
