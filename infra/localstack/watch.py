"""`make dev HOST=localstack`: a function that is edited is served as it was saved, without a deployment.

python -m infra.localstack.watch

LocalStack serves an edited function from its folder, and each later change of it is seen by LocalStack itself. Where
something else changes (a layer, the template), the stack is deployed again. `make localstack` goes back to archives.
"""

import sys
from collections.abc import Collection, Iterable
from pathlib import Path

import watchfiles

from infra import template_map
from infra.localstack import cloud, deploy
from infra.stack import commands, environment
from infra.stack.profiles import CLONE, profile
from infra.template_map import Function

_WATCHED = ("functions", "layers", "template.yaml")
_SUFFIXES = {".py", ".lua", ".yaml", ".json", ".txt"}


def main() -> int:
    """Watch until interrupted."""
    edited: set[str] = set()
    print("Watching functions, layers and template.yaml; Ctrl-C ends it", flush=True)
    for changes in watchfiles.watch(*(CLONE / name for name in _WATCHED), step=50, raise_interrupt=False):
        changed = {Path(path) for _, path in changes if Path(path).suffix in _SUFFIXES}
        functions = [each for each in template_map.functions() if _source(each) in changed]
        try:
            _serve_folders(each for each in functions if each.name not in edited)
            edited |= {each.name for each in functions}
            if others := changed - {_source(each) for each in functions}:
                _deploy(others)
                edited.clear()
        except (deploy.Failed, commands.Failed, cloud.NotDeployed, *cloud.AWAY) as error:
            print(error, file=sys.stderr, flush=True)
    return 0


def _source(function: Function) -> Path:
    return CLONE / "functions" / f"{function.name}.py"


def _serve_folders(functions: Iterable[Function]) -> None:
    """From now on LocalStack sees each change of these by itself."""
    for function in functions:
        folder = str(_source(function).parent)
        cloud.client("lambda").update_function_code(
            FunctionName=cloud.function_name(function.logical_id), S3Bucket="hot-reload", S3Key=folder
        )
        print(f"{function.name} is served from {folder}", flush=True)


def _deploy(changed: Collection[Path]) -> None:
    names = ", ".join(sorted(str(path.relative_to(CLONE)) for path in changed))
    print(f"{names}: deploying…", flush=True)
    template_map.template.cache_clear()
    template_map.functions.cache_clear()
    stack = profile("run")
    made = deploy.artifacts(stack.state / "localstack" / "artifacts")
    deploy.deploy(made, environment.of_functions(environment.read(stack)), lambda line: print(line, flush=True))


if __name__ == "__main__":
    sys.exit(main())
