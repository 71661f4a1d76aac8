"""Starts the stores and LocalStack and deploys the functions to it, or stops LocalStack.

python -m infra.localstack {up,down} [--profile run|test]
"""

import argparse
import sys
import time

from infra.localstack import cloud, deploy
from infra.stack import commands, env_file, lifecycle, venvs
from infra.stack.profiles import profile


def main() -> int:
    """Run the command; 0 on success."""
    parser = argparse.ArgumentParser(prog="python -m infra.localstack", description=__doc__)
    parser.add_argument("verb", choices=["up", "down"])
    parser.add_argument("--profile", choices=["run", "test"], default="run")
    arguments = parser.parse_args()
    chosen = profile(arguments.profile)
    if arguments.verb == "down":
        lifecycle.stop_localstack(chosen)
        return 0
    if not venvs.are_installed():
        print("LocalStack is not installed. Install and start it with: make localstack", file=sys.stderr)
        return 1
    started = time.monotonic()
    try:
        lifecycle.up(chosen, "localstack")
        env_file.apply(arguments.profile)
        artifacts = deploy.build_artifacts(chosen.state / "localstack" / "artifacts")
        print(f"{len(artifacts.paths)} zip files built after {time.monotonic() - started:.1f} s", flush=True)
        settings = env_file.for_functions(env_file.read(chosen))
        deploy.deploy(artifacts, settings, lambda line: print(line, flush=True))
    except (
        *(*lifecycle.ERRORS, *cloud.ERRORS),
        *(deploy.DeploymentFailed, commands.CommandFailed, cloud.NotDeployed),
    ) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    print(f"The functions are deployed at {cloud.api_url()} (in {time.monotonic() - started:.1f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
