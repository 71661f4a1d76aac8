"""Starts the stores and LocalStack and deploys the functions to it, or stops LocalStack.

python -m infra.localstack {up,start,down,restore,status,env} [--profile run|test]

`start` deploys nothing new: LocalStack's own start runs `restore`, which deploys again what was deployed before.
`status` prints what is deployed and what differs from that. `env` prints the exports with which AWS's clients reach
LocalStack.
"""

import argparse
import sys
import time

from infra.localstack import cloud, deploy, deployment, exports, state
from infra.stack import commands, env_file, lifecycle, venvs
from infra.stack.profiles import Profile, profile

_ERRORS = (
    *(*lifecycle.ERRORS, *cloud.ERRORS, env_file.NeverStarted),
    *(deploy.DeploymentFailed, commands.CommandFailed, cloud.NotDeployed),
)


def main() -> int:
    """Run the command; 0 on success."""
    parser = argparse.ArgumentParser(prog="python -m infra.localstack", description=__doc__)
    parser.add_argument("verb", choices=["up", "start", "down", "restore", "status", "env"])
    parser.add_argument("--profile", choices=["run", "test"], default="run")
    parser.add_argument("--reload", action="store_true", help="start: restart the local hosts when the code changes")
    arguments = parser.parse_args()
    chosen = profile(arguments.profile)
    try:
        match arguments.verb:
            case "up":
                return up(chosen)
            case "start":
                lifecycle.up(chosen, "localstack", reloads=arguments.reload or lifecycle.reloads(chosen))
            case "down":
                lifecycle.stop_localstack(chosen)
            case "restore":
                env_file.apply(chosen.name)
                with deployment.lock(chosen):
                    deploy.restore(chosen, _report)
            case "status":
                return state.print_status(chosen)
            case _:
                print(exports.shell(chosen))
    except _ERRORS as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


def up(stack: Profile) -> int:
    """Start LocalStack with everything that it needs, and deploy the code; raises what the command reports."""
    if not venvs.are_installed():
        print("LocalStack is not installed. Install and start it with: make localstack", file=sys.stderr)
        return 1
    started = time.monotonic()
    with deployment.lock(stack):  # a LocalStack that this starts would deploy the last deployment first
        lifecycle.up(stack, "localstack", reloads=lifecycle.reloads(stack))
        env_file.apply(stack.name)
        artifacts = deploy.build_artifacts(stack.state / "localstack" / "artifacts")
        _report(f"{len(artifacts.paths)} zip files built after {time.monotonic() - started:.1f} s")
        deploy.deploy(stack, artifacts, _report)
    print(f"The functions are deployed at {cloud.api_url()} (in {time.monotonic() - started:.1f} s)")
    print(f"awslocal, the AWS CLI and boto3 reach LocalStack after: {exports.command(stack)}")
    return 0


def _report(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
