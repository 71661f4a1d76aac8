"""Runs the programs that install something."""

import os
import subprocess

_LAST_LINES = 25


class Failed(Exception):
    """A command did not do what was asked, with the end of what it said."""


def run(command: list[str], **environment: str) -> None:
    """A command whose output matters only if it fails: then it raises `Failed` with the last lines."""
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-_LAST_LINES:])
        raise Failed(f"{' '.join(command)} ended with {done.returncode}:\n{tail}")
