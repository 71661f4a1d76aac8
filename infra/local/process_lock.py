"""A lock that one of several forked processes holds, until it ends."""

import fcntl
import os


class ProcessLock:
    """Must be made before the processes are forked: it is an open file without a name."""

    def __init__(self) -> None:
        self._file = os.memfd_create("lock")

    def acquire(self) -> bool:
        """Acquire the lock unless another process holds it; whether this process holds it now."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
