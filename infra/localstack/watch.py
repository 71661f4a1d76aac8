"""`make dev HOST=localstack`: makes LocalStack run edited functions without a deployment.

python -m infra.localstack.watch

After the first change of a function, LocalStack runs it from its folder, and detects later changes itself. When a layer
or the template changes, the stack is deployed again. `make localstack` deploys zip files again.
"""

import sys
from collections.abc import Collection, Iterable
from pathlib import Path

import watchfiles

from infra import template_map
from infra.localstack import cloud, deploy
from infra.stack import commands, env_file
from infra.stack.profiles import CLONE, profile
from infra.template_map import Function

_WATCHED = ("functions", "layers", "template.yaml")
_SUFFIXES = {".py", ".lua", ".yaml", ".json", ".txt"}


def main() -> int:
    """Watch until interrupted."""
    from_folder: set[str] = set()
    print("Watching functions, layers and template.yaml. Stop with Ctrl-C", flush=True)
    for changes in watchfiles.watch(*(CLONE / name for name in _WATCHED), step=50, raise_interrupt=False):
        changed = {Path(path) for _, path in changes if Path(path).suffix in _SUFFIXES}
        functions = [each for each in template_map.functions() if _source(each) in changed]
        try:
            _run_from_folders(each for each in functions if each.name not in from_folder)
            from_folder |= {each.name for each in functions}
            if others := changed - {_source(each) for each in functions}:
                _deploy(others)
                from_folder.clear()
        except (deploy.DeploymentFailed, commands.CommandFailed, cloud.NotDeployed, *cloud.ERRORS) as error:
            print(error, file=sys.stderr, flush=True)
    return 0


def _source(function: Function) -> Path:
    return CLONE / "functions" / f"{function.name}.py"


def _run_from_folders(functions: Iterable[Function]) -> None:
    """Make LocalStack run these functions from their folders and detect their changes."""
    for function in functions:
        folder = str(_source(function).parent)
        cloud.client("lambda").update_function_code(
            FunctionName=cloud.function_name(function.logical_id), S3Bucket="hot-reload", S3Key=folder
        )
        print(f"{function.name} now runs from {folder}", flush=True)


def _deploy(changed: Collection[Path]) -> None:
    names = ", ".join(sorted(str(path.relative_to(CLONE)) for path in changed))
    print(f"{names} changed: deploying…", flush=True)
    template_map.template.cache_clear()
    template_map.functions.cache_clear()
    stack = profile("run")
    artifacts = deploy.build_artifacts(stack.state / "localstack" / "artifacts")
    deploy.deploy(artifacts, env_file.for_functions(env_file.read(stack)), lambda line: print(line, flush=True))


if __name__ == "__main__":
    sys.exit(main())
