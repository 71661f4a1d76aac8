"""Forked processes use the objects of their parent without copying them."""

import subprocess
import sys
from textwrap import dedent

from tests.support.stack import ROOT

USE_ALL_OBJECTS = """
    import gc, os, sys
    from infra.environments import shared_memory

    objects = [f"object {number}" for number in range(200_000)]

    def private_kilobytes():
        lines = open("/proc/self/smaps_rollup").read().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))

    def grow():
        before = private_kilobytes()
        for each in objects:
            used = [each]
        gc.collect()
        return private_kilobytes() - before

    if "share" in sys.argv:
        shared_memory.share_with_forks()
    if (pid := os.fork()) == 0:
        print(grow(), flush=True)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""


def copied_kilobytes(*arguments: str) -> int:
    """What a forked process copies by using 200,000 strings of its parent."""
    done = subprocess.run(
        [sys.executable, "-c", dedent(USE_ALL_OBJECTS), *arguments],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout)


def test_objects_of_before_are_shared() -> None:
    assert copied_kilobytes() > 10_000
    assert copied_kilobytes("share") < 1_000


def test_objects_that_are_made_later_are_freed_as_usual() -> None:
    code = """
        import sys, weakref
        from infra.environments import shared_memory

        class Thing: pass

        early = Thing()
        shared_memory.share_with_forks()
        late = Thing()
        shared_memory.share_with_forks()
        latest = Thing()
        seen = [weakref.ref(each) for each in (early, late, latest)]
        del early, late, latest
        print([each() is None for each in seen])
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "[False, False, True]\n"
