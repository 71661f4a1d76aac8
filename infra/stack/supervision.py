"""Controls the profile's supervisord: starts it, passes it the programs, and ends processes that it left behind."""

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
_END_SECONDS = 10
_REPLACE_SECONDS = 60
_PAUSE_SECONDS = 0.1
_RUNNING = ("STARTING", "RUNNING", "STOPPING", "BACKOFF")
_STOPPED = ("STOPPED", "EXITED", "FATAL")


class _Transport(SupervisorTransport):  # type: ignore[misc]  # supervisor has no annotations
    """Closes its connection after each call, because callers do not close it."""

    def request(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().request(*arguments, **options)
        finally:
            self.close()


class NotReplaced(Exception):
    """A program has not replaced its processes; the message names its log."""


def connect(profile: Profile) -> Any:
    """The XML-RPC interface of supervisord (http://supervisord.org/api.html), or None if it does not run."""
    socket = profile.state / "supervisor.sock"
    if not socket.exists():
        return None
    supervisord = cast(
        "Any", ServerProxy("http://127.0.0.1", transport=_Transport(None, None, f"unix://{socket}"))
    ).supervisor
    try:
        supervisord.getState()
    except (OSError, Fault):
        return None
    return supervisord


def start(profile: Profile) -> Any:
    """Start supervisord with the profile's configuration, or make a running one reload it; its interface.

    Changed programs are stopped and loaded again; the caller starts them. Raises `TimeoutError`.
    """
    if (supervisord := connect(profile)) is not None:
        reload(supervisord)
        return supervisord
    program = Path(sys.executable).with_name("supervisord")
    subprocess.run([str(program), "-c", str(profile.state / "supervisord.conf")], check=True)
    deadline = time.monotonic() + _START_SECONDS
    while (supervisord := connect(profile)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"supervisord does not answer. Its log: {profile.state}/logs/supervisord.log")
        time.sleep(_PAUSE_SECONDS)
    return supervisord


def reload(supervisord: Any) -> None:
    """Make it load its configuration again: changed programs are stopped, and the caller starts them."""
    added, changed, removed = supervisord.reloadConfig()[0]
    for name in (*changed, *removed):
        supervisord.stopProcessGroup(name)
        supervisord.removeProcessGroup(name)
    for name in (*added, *changed):
        supervisord.addProcessGroup(name)


def start_programs(supervisord: Any, names: list[str]) -> list[str]:
    """Start those of the programs that do not run, without waiting; the names of the processes that were started."""
    started = []
    for process in supervisord.getAllProcessInfo():
        if process["group"] in names and process["statename"] in _STOPPED:
            with contextlib.suppress(Fault):  # supervisord may have restarted it meanwhile
                supervisord.startProcess(f"{process['group']}:{process['name']}", False)
            started.append(process["name"])
    return started


def stop_programs(supervisord: Any, names: Collection[str]) -> set[str]:
    """Stop those of the programs that run, in parallel, and wait; the names of the programs that were stopped."""
    stopped = running(supervisord) & set(names)
    for name in stopped:
        supervisord.stopProcessGroup(name, False)
    while any(each["group"] in stopped and each["statename"] in _RUNNING for each in supervisord.getAllProcessInfo()):
        time.sleep(_PAUSE_SECONDS)
    return stopped


def replace_children(supervisord: Any, name: str) -> None:
    """Send a program SIGHUP, on which it replaces its child processes, and wait; raises `NotReplaced`."""
    program = psutil.Process(supervisord.getProcessInfo(name)["pid"])
    before = program.children()
    supervisord.signalProcess(name, "HUP")
    _, kept = psutil.wait_procs(before, timeout=_REPLACE_SECONDS)
    if kept or not program.is_running():
        log = supervisord.getProcessInfo(name)["stdout_logfile"]
        raise NotReplaced(f"{name} still runs the code of before; its log says why: {log}")


def running(supervisord: Any) -> set[str]:
    """The programs with at least one process that runs or is being started."""
    return {each["group"] for each in supervisord.getAllProcessInfo() if each["statename"] in _RUNNING}


def stop(profile: Profile, *, first: Collection[str]) -> bool:
    """Stop the programs named `first`, then all others, then supervisord; whether anything ran."""
    supervisord = connect(profile)
    if supervisord is None:
        return end_orphans(profile)
    process = psutil.Process(supervisord.getPID())
    programs = {each["group"] for each in supervisord.getAllProcessInfo()}
    for names in (programs & set(first), programs - set(first)):
        stop_programs(supervisord, names)
    supervisord.shutdown()
    process.wait()
    end_orphans(profile)
    return True


def end_orphans(profile: Profile) -> bool:
    """End the processes that a killed supervisord left behind; whether there were any.

    Their environment contains supervisord's address. Two programs overwrite their environment: PostgreSQL's postmaster
    is found by its pid file and its command line, nginx's workers by the process group of their master.
    """
    server = f"unix://{profile.state}/supervisor.sock"
    postmasters = {_read_pid(path) for path in profile.state.glob("postgres-*/postmaster.pid")}
    nginx_pid = profile.state / "nginx" / "nginx.pid"
    nginx_master = _read_pid(nginx_pid)
    orphans = [
        process
        for process in psutil.process_iter()
        if _environment(process).get("SUPERVISOR_SERVER_URL") == server
        or (process.pid in postmasters and any(str(profile.state) in part for part in _command(process)))
        or (nginx_master and _group(process) == nginx_master and process.name() == "nginx")
    ]
    for process in orphans:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(orphans, timeout=_END_SECONDS)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=_END_SECONDS)
    nginx_pid.unlink(missing_ok=True)  # another process may have this pid at the next start
    return bool(orphans)


def _read_pid(path: Path) -> int | None:
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
