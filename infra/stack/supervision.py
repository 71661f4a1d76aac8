"""Talks to the profile's supervisord: starts it, hands it its programs, and ends what it left behind."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, cast
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from infra.stack.profiles import Profile

_START_SECONDS = 10
_PAUSE_SECONDS = 0.1
_RUNNING = ("STARTING", "RUNNING", "STOPPING", "BACKOFF")
_STOPPED = ("STOPPED", "EXITED", "FATAL")


def connect(profile: Profile) -> Any:
    """The remote calls of supervisord, or None if it does not run."""
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


def stop_programs(calls: Any, names: Collection[str]) -> set[str]:
    """Stop those of the named groups that run, side by side; their names."""
    stopped = running(calls) & set(names)
    for name in stopped:
        calls.stopProcessGroup(name, False)
    while any(each["group"] in stopped and each["statename"] in _RUNNING for each in calls.getAllProcessInfo()):
        time.sleep(_PAUSE_SECONDS)
    return stopped


def running(calls: Any) -> set[str]:
    """The groups with a process that runs, or is about to."""
    return {each["group"] for each in calls.getAllProcessInfo() if each["statename"] in _RUNNING}


def stop(profile: Profile, *, first: Collection[str]) -> bool:
    """Stop the programs named `first`, then the others, each lot side by side, and supervisord; False if there was
    nothing.
    """
    calls = connect(profile)
    if calls is None:
        return end_orphans(profile)
    watched = psutil.Process(calls.getPID())
    groups = {process["group"] for process in calls.getAllProcessInfo()}
    for lot in (groups & set(first), groups - set(first)):
        stop_programs(calls, lot)
    calls.shutdown()
    watched.wait()
    end_orphans(profile)
    return True


def end_orphans(profile: Profile) -> bool:
    """End what a supervisord left behind that was itself killed; whether there was anything.

    Its children carry its address in their environment. The two that write over theirs are known by their pid files:
    PostgreSQL's by its command line besides, nginx's workers by the process group of their master.
    """
    server = f"unix://{profile.state}/supervisor.sock"
    postmasters = {_number(path) for path in profile.state.glob("postgres-*/postmaster.pid")}
    nginx_pid = profile.state / "nginx" / "nginx.pid"
    master = _number(nginx_pid)
    found = [
        process
        for process in psutil.process_iter()
        if _environment(process).get("SUPERVISOR_SERVER_URL") == server
        or (process.pid in postmasters and any(str(profile.state) in part for part in _command(process)))
        or (master and _group(process) == master and process.name() == "nginx")
    ]
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(found, timeout=_START_SECONDS)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=_START_SECONDS)
    nginx_pid.unlink(missing_ok=True)  # its number may be somebody else's by the next start
    return bool(found)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _group(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except OSError:
        return None
