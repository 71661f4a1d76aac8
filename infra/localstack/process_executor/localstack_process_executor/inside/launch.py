"""The first process of an environment: prepares it, starts the runtime, watches it and ends all of it.

Reads its `Launch`, marshalled, from its standard input. Its argument is the descriptor of a socket to the host, which
sends "freeze" (stop every process; answered with "frozen 0 <peak>") and "thaw" (go on). When everything has ended it
tells "exited <status> <peak>" or "out-of-memory 0 <peak>"; status as os.wait gives it, peak in bytes. When the socket
closes, the host is gone and everything ends.

Each import here is a part of every cold start: json, socket, typing and contextlib would take 15 ms.
"""

import ctypes
import marshal
import os
import select
import signal
import sys

from . import memory, mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .contract import Launch

_SAMPLE_MS = 25
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 36, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_USER, _GROUP = 993, 990  # as on AWS

_libc = ctypes.CDLL(None, use_errno=True)


class Supervisor:
    """Watches the runtime's process and all that it starts."""

    def __init__(self, control: int, runtime: int, memory_bytes: int) -> None:
        self._control = control
        self._runtime = runtime
        self._memory_bytes = memory_bytes
        self._frozen = False
        self._peak = 0

    def run(self) -> None:
        """Return when all processes have ended."""
        ended = os.pidfd_open(self._runtime)
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        poll.register(self._control, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(None if self._frozen else _SAMPLE_MS)}
            if ended in ready:
                return self._finish("exited", os.waitpid(self._runtime, 0)[1])
            if self._control in ready and not self._obey(os.read(self._control, 16)):
                return kill_descendants()
            if not self._frozen and self._measure() > self._memory_bytes:
                return self._finish("out-of-memory", 0)

    def _obey(self, message: bytes) -> bool:
        if message == b"freeze":
            signal_descendants(signal.SIGSTOP)
            self._frozen = True
            self._measure()
            self._tell("frozen", 0)
        elif message == b"thaw":
            self._frozen = False
            signal_descendants(signal.SIGCONT)
        return bool(message)

    def _measure(self) -> int:
        """Bytes in use now; counts shared pages exactly only where that decides."""
        pids = memory.descendants(os.getpid())
        used = memory.resident(pids)
        if used > self._memory_bytes:
            used = memory.proportional(pids)
        self._peak = min(self._memory_bytes, max(self._peak, used, memory.peak(pids)))
        return used

    def _finish(self, kind: str, status: int) -> None:
        kill_descendants()
        self._tell(kind, status)

    def _tell(self, kind: str, status: int) -> None:
        try:
            os.write(self._control, f"{kind} {status} {self._peak}".encode())
        except OSError:
            return  # the host has gone: the next read says so


def signal_descendants(number: int) -> None:
    """Send the signal to every process below this one."""
    if os.getpid() == 1:
        _signal(-1, number)  # alone with its descendants: one call reaches all of them at once
        return
    for pid in memory.descendants(os.getpid()):
        _signal(pid, number)


def kill_descendants() -> None:
    """End every process below this one and wait for it."""
    try:
        while True:
            signal_descendants(signal.SIGKILL)
            os.waitpid(-1, 0)
    except ChildProcessError:
        return  # none is left


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def start(launch: "Launch") -> int:
    """The id of the runtime's process."""
    pid = os.fork()
    if pid == 0:
        try:
            execute(launch)
        except OSError as error:
            print(error, file=sys.stderr, flush=True)
        os._exit(127)
    return pid


def execute(launch: "Launch") -> None:
    """Become the runtime; never returns."""
    if launch["root"] and os.getuid() == 0:
        os.setgroups([])
        os.setgid(_GROUP)
        os.setuid(_USER)
    # From here on it is not root and gets no capabilities at exec: it cannot undo the mounts.
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of user, which clears it
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.chdir(launch["folder"])
    os.execve(launch["command"][0], launch["command"], launch["variables"])  # noqa: S606 (the runtime)


def run(launch: "Launch", control: int) -> None:
    """One environment, to its end."""
    Supervisor(control, start(launch), launch["memory_bytes"]).run()


def run_without_namespaces(launch: "Launch", control: int) -> None:
    """One environment whose /tmp is a folder of its own, named by TMPDIR and removed at the end."""
    import tempfile  # noqa: PLC0415 (slow to import and rarely needed)

    with tempfile.TemporaryDirectory(prefix="lambda-", ignore_cleanup_errors=True) as folder:
        launch["variables"]["TMPDIR"] = folder
        run(launch, control)


def main() -> None:
    """Read what to start, and run it."""
    control = int(sys.argv[1])
    os.set_inheritable(control, False)
    launch: Launch = marshal.load(sys.stdin.buffer)  # noqa: S302 (from the host, the same Python)
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if launch["root"] is None:
        run_without_namespaces(launch, control)
    else:
        mounts.build(launch["root"], launch["binds"], launch["tmp_bytes"])
        run(launch, control)
