"""The lock that one of several forked processes holds."""

import os

from infra.local.process_lock import ProcessLock
from tests.support.waiting import until


def _acquires_in_a_forked_process(lock: ProcessLock) -> bool:
    pid = os.fork()
    if pid == 0:
        os._exit(0 if lock.acquire() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_only_one_process_has_it() -> None:
    lock = ProcessLock()

    assert lock.acquire()
    assert lock.acquire()
    assert not _acquires_in_a_forked_process(lock)


def test_it_is_free_when_the_process_has_ended() -> None:
    lock = ProcessLock()

    assert _acquires_in_a_forked_process(lock)
    assert until(lock.acquire)
