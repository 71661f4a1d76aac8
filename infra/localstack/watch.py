"""`make dev HOST=localstack`: lets functions in LocalStack run the code as it is edited.

python -m infra.localstack.watch [--profile run|test] [--code FOLDER]

All functions run from the folders of `infra.localstack.folders`, so an edit of a function or a layer has its effect at
the next invocation. An edit of template.yaml, or of the packages that a layer contains, is deployed. If LocalStack has
deployed zip files again, because it ended or because of `make localstack`, the functions get their folders again.
`make localstack` after the end of this program deploys zip files.
"""

import argparse
import sys
from collections.abc import Collection
from pathlib import Path

import watchfiles

from infra import template_map
from infra.localstack import cloud, deploy, deployment, folders
from infra.localstack.folders import Folders
from infra.stack import commands, env_file
from infra.stack.profiles import CLONE, Profile, profile

_WATCHED = ("functions", "layers", "template.yaml")
_DEPLOYED = {"template.yaml", "Makefile", "requirements.txt"}
"""Files of which an edit needs a deployment."""
_LOOK_MS = 2000
"""How often to look whether LocalStack has lost the folders, and whether an edit was missed."""
_ERRORS = (deploy.DeploymentFailed, commands.CommandFailed, cloud.NotDeployed, *cloud.ERRORS)


def main() -> int:
    """Watch until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m infra.localstack.watch", description=__doc__)
    parser.add_argument("--profile", choices=["run", "test"], default="run")
    parser.add_argument("--code", type=Path, default=CLONE, help="where the sources of functions and layers are")
    arguments = parser.parse_args()
    env_file.apply(arguments.profile)
    watch(profile(arguments.profile), arguments.code.resolve())
    return 0


def watch(stack: Profile, code: Path) -> None:
    """Watch until interrupted. The first look comes before the first edit is waited for, so that none is missed."""
    attached = Folders(stack, code)
    problem = ""
    paths = [path for name in _WATCHED if (path := code / name).exists()]
    for changes in watchfiles.watch(
        *paths, step=20, debounce=200, rust_timeout=_LOOK_MS, yield_on_timeout=True, raise_interrupt=False
    ):
        changed = {Path(path) for _, path in changes if "__pycache__" not in path}
        try:
            _follow(stack, attached, {path for path in changed if path.is_file()}, code)
            problem = ""
        except _ERRORS as error:
            if str(error) != problem:  # at each look it is the same
                problem = str(error)
                print(problem, file=sys.stderr, flush=True)


def _follow(stack: Profile, attached: Folders, changed: Collection[Path], code: Path) -> None:
    """Let LocalStack run the code as it is now; raises `_ERRORS`."""
    for path in sorted(path for path in changed if path.suffix == ".py"):
        if error := folders.find_syntax_error(path):
            print(error, file=sys.stderr, flush=True)
    if deployed := sorted(path.relative_to(code) for path in changed if path.name in _DEPLOYED):
        print(f"{', '.join(map(str, deployed))} changed: deploying…", flush=True)
        template_map.template.cache_clear()
        template_map.functions.cache_clear()
        with deployment.lock(stack):
            artifacts = deploy.build_artifacts(stack.state / "localstack" / "artifacts")
            deploy.deploy(stack, artifacts, lambda line: print(line, flush=True))
    for path in attached.copy_edits():
        print(f"{path.relative_to(code)} is used from the next invocation on", flush=True)
    if not deployment.is_locked(stack) and not attached.are_attached():
        attached.attach()
        print("All functions run from their folders. Stop with Ctrl-C, then deploy with: make localstack", flush=True)


if __name__ == "__main__":
    sys.exit(main())
