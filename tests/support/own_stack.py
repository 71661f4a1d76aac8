"""A stack for one test, with a state folder, ports and a backup folder of its own."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from infra.stack import supervision
from infra.stack.profiles import Profile, profile
from tests.support.stack import ROOT

_FURTHER = 2000
"""How far its ports are from those of the test stack, which may run at the same time."""


class OwnStack:
    """The stack; it does not run at first."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.backup = folder / "backup"
        self._variables = {
            "PHOTOGRAM_STATE": str(folder / "state"),
            "PHOTOGRAM_BACKUP": str(self.backup),
            "PHOTOGRAM_PORT": str(int(os.environ.get("PHOTOGRAM_PORT") or 3000) + _FURTHER),
            "PHOTOGRAM_STORE_PORTS": str(int(os.environ.get("PHOTOGRAM_STORE_PORTS") or 23000) + _FURTHER),
            **variables,
        }

    @property
    def profile(self) -> Profile:
        """Its state folder and ports."""
        kept = {name: os.environ.get(name) for name in self._variables}
        os.environ.update(self._variables)
        try:
            return profile("test")
        finally:
            for name, value in kept.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    def run(self, module: str, *arguments: str, succeeds: bool = True) -> str:
        """The output of a command for this stack."""
        command = [sys.executable, "-m", module, *arguments, "--profile", "test"]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **self._variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) == succeeds, done.stdout
        return done.stdout

    def settings(self) -> dict[str, str]:
        """The settings of the running stack."""
        lines = self.run("infra.stack", "env", "--admin").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def kill(self) -> None:
        """End all its processes at once, as a power failure does, supervisord first."""
        processes = [psutil.Process(int((self.profile.state / "supervisord.pid").read_text()))]
        processes += processes[0].children(recursive=True)
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes)
        supervision.end_orphans(self.profile)

    def destroy(self) -> None:
        """Kill it and delete its data, but not the backup."""
        self.kill()
        shutil.rmtree(self.profile.state)


@contextmanager
def own_stack(**variables: str) -> Iterator[OwnStack]:
    """A stack in a folder that PostgreSQL's user may enter, unlike those of pytest; it is deleted at the end.

    `variables` are environment variables of its commands.
    """
    folder = Path(tempfile.mkdtemp(prefix="photogram-"))
    folder.chmod(0o711)
    stack = OwnStack(folder, variables)
    try:
        yield stack
    finally:
        stack.run("infra.stack", "clean", "--yes")
        shutil.rmtree(folder)
