"""What a function sees of the machine: its code, its layers, a /tmp of its own, and its processes alone.

Namespaces of mounts and processes, made by util-linux's `unshare`; a shell is the first process in there, so that a
function killed by a signal is seen to be (the first process of a namespace cannot be killed from within).
"""

import functools
import logging
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

LOG = logging.getLogger(__name__)

_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")
_DIES_WITH_LOCALSTACK = ("setpriv", "--pdeathsig", "KILL")
_SETUP = """
set -e
mount -t tmpfs -o size=4m none "$STAGE"
show() {
    mkdir "$STAGE/$2"
    mount --bind "$1" "$STAGE/$2"
    mount -o remount,bind,ro "$STAGE/$2"
}
show "$CODE" task
show "$LAYERS" opt
show "$RUNTIME" runtime
mount --bind "$STAGE/opt" /opt
mount --rbind "$STAGE" /var
mount -t tmpfs -o "size=${QUOTA}m,mode=1777" none /tmp
cd /var/task
set +e
"$@"
exit $?
"""
"""Nothing is made on the host: /var holds `task`, `opt` and `runtime` in there, and nothing else."""


@dataclass(frozen=True)
class Folders:
    """Where a function's files lie on the host."""

    code: Path
    layers: Path
    python: Path
    """Of the runtime, in the `bin` of its environment."""
    quota_mb: int
    """Of /tmp."""
    is_edited: bool = False
    """Whether somebody works on the code: then a change of it asks for a new environment."""


@dataclass(frozen=True)
class Command:
    """How to start a program in a sandbox."""

    words: list[str]
    environment: dict[str, str]
    """What must be set for it besides the program's own."""
    folder: Path
    task: Path
    """The code, as the program sees it."""
    opt: Path
    temporary: Path | None
    """A folder on the host to be removed afterwards."""


@functools.cache
def has_namespaces() -> bool:
    """Whether this machine lets us make them; said once in the log if not."""
    done = subprocess.run(
        [*_unshare(), "sh", "-c", "mount -t tmpfs none /opt"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        LOG.warning(
            "Functions run without namespaces: code is not read-only, /tmp is the machine's and has no quota (%s)",
            done.stderr.strip() or done.returncode,
        )
    return not done.returncode


def command(arguments: list[str], folders: Folders, state: Path) -> Command:
    """Python with these arguments in a sandbox; where there can be none, in a folder for its temporary files."""
    state.mkdir(parents=True, exist_ok=True)
    if not has_namespaces():
        temporary = Path(tempfile.mkdtemp(dir=state))
        return Command(
            words=[*_DIES_WITH_LOCALSTACK, str(folders.python), *arguments],
            environment={"TMPDIR": str(temporary)},
            folder=folders.code,
            task=folders.code,
            opt=folders.layers,
            temporary=temporary,
        )
    stage = state / "stage"  # a mount point: each namespace has its own mount there
    stage.mkdir(exist_ok=True)
    settings = {
        "STAGE": stage,
        "CODE": folders.code,
        "LAYERS": folders.layers,
        "RUNTIME": folders.python.parents[1],
        "QUOTA": folders.quota_mb,
    }
    variables = [f"{name}={value}" for name, value in settings.items()]
    unset = [word for name in settings for word in ("-u", name)]
    return Command(
        words=[
            *_DIES_WITH_LOCALSTACK,
            *("env", *variables),
            *_unshare(),
            *("sh", "-c", _SETUP, "sh", "env", *unset),
            *(f"/var/runtime/bin/{folders.python.name}", *arguments),
        ],
        environment={},
        folder=Path("/"),
        task=Path("/var/task"),
        opt=Path("/opt"),
        temporary=None,
    )


def remove(temporary: Path | None) -> None:
    """Remove a folder for temporary files."""
    if temporary:
        shutil.rmtree(temporary, ignore_errors=True)


def _unshare() -> tuple[str, ...]:
    return _NAMESPACES if os.geteuid() == 0 else (*_NAMESPACES, "--map-root-user")
