"""The first process of an environment: sets it up, starts the runtime, supervises it, and ends all its processes.

It reads its `Launch`, serialized with `marshal`, from its standard input. Its argument is the descriptor of a socket to
the host. The host sends "freeze" (pause every process; the answer is "frozen 0 <peak>") and "thaw" (continue). After
all processes have ended, it sends "exited <status> <peak>" or "out-of-memory 0 <peak>"; the status is that of
`os.wait`, the peak is in bytes. When the socket closes, the host has ended, and all processes are ended.

Imports take part of every cold start: json, socket, typing and contextlib would take 15 ms.
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
    """Supervises the runtime's process and all its descendants."""

    def __init__(self, control: int, runtime: int, memory_bytes: int) -> None:
        self._control = control
        self._runtime = runtime
        self._memory_bytes = memory_bytes
        self._frozen = False
        self._peak = 0

    def run(self) -> None:
        """Supervise until all processes have ended."""
        ended = os.pidfd_open(self._runtime)
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        poll.register(self._control, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(None if self._frozen else _SAMPLE_MS)}
            if ended in ready:
                return self._finish("exited", os.waitpid(self._runtime, 0)[1])
            if self._control in ready and not self._handle(os.read(self._control, 16)):
                return kill_descendants()
            if not self._frozen and self._measure() > self._memory_bytes:
                return self._finish("out-of-memory", 0)

    def _handle(self, message: bytes) -> bool:
        if message == b"freeze":
            signal_descendants(signal.SIGSTOP)
            self._frozen = True
            self._measure()
            self._send("frozen", 0)
        elif message == b"thaw":
            self._frozen = False
            signal_descendants(signal.SIGCONT)
        return bool(message)

    def _measure(self) -> int:
        """Bytes of memory in use; shared pages are counted exactly only if the limit seems to be exceeded."""
        pids = memory.descendants(os.getpid())
        used = memory.resident(pids)
        if used > self._memory_bytes:
            used = memory.proportional(pids)
        self._peak = min(self._memory_bytes, max(self._peak, used, memory.peak(pids)))
        return used

    def _finish(self, kind: str, status: int) -> None:
        kill_descendants()
        self._send(kind, status)

    def _send(self, kind: str, status: int) -> None:
        try:
            os.write(self._control, f"{kind} {status} {self._peak}".encode())
        except OSError:
            return  # the host has ended: the next read returns nothing


def signal_descendants(number: int) -> None:
    """Send the signal to every descendant of this process."""
    if os.getpid() == 1:
        _signal(-1, number)  # the first process of its namespace: one call reaches all processes
        return
    for pid in memory.descendants(os.getpid()):
        _signal(pid, number)


def kill_descendants() -> None:
    """Kill every descendant of this process and wait for it."""
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
    """Start the runtime; its process id."""
    pid = os.fork()
    if pid == 0:
        try:
            execute(launch)
        except OSError as error:
            print(error, file=sys.stderr, flush=True)
        os._exit(127)
    return pid


def execute(launch: "Launch") -> None:
    """Execute the runtime in place of this process."""
    if launch["root"] and os.getuid() == 0:
        os.setgroups([])
        os.setgid(_GROUP)
        os.setuid(_USER)
    # Without root and without gaining capabilities at exec, it cannot undo the mounts.
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of user, which clears it
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.chdir(launch["folder"])
    os.execve(launch["command"][0], launch["command"], launch["variables"])  # noqa: S606 (the runtime)


def run(launch: "Launch", control: int) -> None:
    """Run one environment until its end."""
    Supervisor(control, start(launch), launch["memory_bytes"]).run()


def run_without_namespaces(launch: "Launch", control: int) -> None:
    """Run one environment that has its own folder in TMPDIR instead of /tmp, removed at the end."""
    import tempfile  # noqa: PLC0415 (slow to import and rarely needed)

    with tempfile.TemporaryDirectory(prefix="lambda-", ignore_cleanup_errors=True) as folder:
        launch["variables"]["TMPDIR"] = folder
        run(launch, control)


def main() -> None:
    """Read the `Launch` and run the environment."""
    control = int(sys.argv[1])
    os.set_inheritable(control, False)
    launch: Launch = marshal.load(sys.stdin.buffer)  # noqa: S302 (from the host, the same Python)
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if launch["root"] is None:
        run_without_namespaces(launch, control)
    else:
        mounts.build(launch["root"], launch["binds"], launch["tmp_bytes"])
        run(launch, control)
