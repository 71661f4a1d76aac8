"""Starts the stack again when its supervisord has died. supervisord itself starts this program again when it ends.

python -m infra.stack.guard LOG COMMAND …
"""

import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

_INIT: Final = 1
"""The process that becomes the parent of this one if supervisord ends before this one looks."""
_PAUSE_SECONDS: Final = 1
"""When all processes of the stack are killed, this one is killed within this time, and must not start them again."""


def main() -> None:
    """Wait until the parent process ends without having stopped this one; then run the command and leave it alone."""
    log, *command = sys.argv[1:]
    parent = os.getppid()
    if parent != _INIT:
        select.select([os.pidfd_open(parent)], [], [])
    time.sleep(_PAUSE_SECONDS)
    variables = {name: value for name, value in os.environ.items() if not name.startswith("SUPERVISOR_")}
    with Path(log).open("a") as output:
        subprocess.Popen(command, env=variables, stdout=output, stderr=output, start_new_session=True)


if __name__ == "__main__":
    main()
