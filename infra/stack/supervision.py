"""Talks to the profile's supervisord: starts it, hands it its programs, and ends what it left behind."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from infra.stack.profiles import Profile

_START_SECONDS = 10
_PAUSE_SECONDS = 0.1
_STOPPED = ("STOPPED", "EXITED", "FATAL")


def connect(profile: Profile) -> Any:
    """supervisord's remote calls, or None if it does not run."""
    socket = profile.state / "supervisor.sock"
    if not socket.exists():
        return None
    calls = cast(
        "Any", ServerProxy("http://127.0.0.1", transport=SupervisorTransport(None, None, f"unix://{socket}"))
    ).supervisor
    try:
        calls.getState()
    except (OSError, Fault):
        return None
    return calls


def start(profile: Profile) -> Any:
    """A supervisord with this profile's configuration, started now if none runs; changed programs are stopped and
    taken anew, to be started by the caller.
    """
    if (calls := connect(profile)) is not None:
        added, changed, removed = calls.reloadConfig()[0]
        for name in (*changed, *removed):
            calls.stopProcessGroup(name)
            calls.removeProcessGroup(name)
        for name in (*added, *changed):
            calls.addProcessGroup(name)
        return calls
    supervisord = Path(sys.executable).with_name("supervisord")
    subprocess.run([str(supervisord), "-c", str(profile.state / "supervisord.conf")], check=True)
    deadline = time.monotonic() + _START_SECONDS
    while (calls := connect(profile)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"supervisord does not answer; see {profile.state}/logs/supervisord.log")
        time.sleep(_PAUSE_SECONDS)
    return calls


def start_programs(calls: Any, names: list[str]) -> list[str]:
    """Start those of the named groups that do not run, without waiting; the names of what was started."""
    started = []
    for process in calls.getAllProcessInfo():
        if process["group"] in names and process["statename"] in _STOPPED:
            with contextlib.suppress(Fault):  # it may have begun by itself since
                calls.startProcess(f"{process['group']}:{process['name']}", False)
            started.append(process["name"])
    return started


def stop(profile: Profile) -> bool:
    """Stop supervisord and all that it runs; False if there was nothing."""
    calls = connect(profile)
    if calls is None:
        return end_orphans(profile)
    watched = psutil.Process(calls.getPID())
    calls.shutdown()
    watched.wait()
    end_orphans(profile)
    return True


def end_orphans(profile: Profile) -> bool:
    """End what a supervisord left behind that was itself killed: its children carry its address in their environment,
    the two that write over theirs are found by their pid files.
    """
    server = f"unix://{profile.state}/supervisor.sock"
    found = [process for process in psutil.process_iter() if _server(process) == server]
    for path in (*profile.state.glob("postgres-*/postmaster.pid"), profile.state / "nginx" / "nginx.pid"):
        with contextlib.suppress(OSError, ValueError, IndexError, psutil.NoSuchProcess):
            process = psutil.Process(int(path.read_text().split()[0]))
            if any(str(profile.state) in part for part in process.cmdline()):
                found.append(process)
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(found, timeout=_START_SECONDS)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=_START_SECONDS)
    (profile.state / "nginx" / "nginx.pid").unlink(missing_ok=True)  # its number may be somebody else's by now
    return bool(found)


def _server(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("SUPERVISOR_SERVER_URL")
    except psutil.Error:
        return None
