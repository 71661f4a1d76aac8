"""Runs programs whose output matters only when they fail."""

import os
import subprocess

_LAST_LINES = 25


class CommandFailed(Exception):
    """A command ended with an error; the message holds the end of its output."""


def run(command: list[str], **environment: str) -> None:
    """Run a command with these additional environment variables; raises `CommandFailed` if it fails."""
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
        raise CommandFailed(f"{' '.join(command)} failed with exit code {done.returncode}:\n{tail}")
