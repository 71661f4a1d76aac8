"""Brings a profile's stack up or down and tells how it is.

python -m infra.stack {up,down,status,clean,env,logs} --profile run|test
"""

import argparse
import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import psutil

from infra.minio import buckets
from infra.stack import clusters, compose, configs, environment, ports, programs, readiness, supervision
from infra.stack.profiles import CLONE, Profile, profile

_DEADLINE_SECONDS = 120
_CRASHING_SECONDS = 15
"""A part that still ends at once after this long will not come up by being started again."""
_PAUSE_SECONDS = 0.1
_LAST_LINES = 20
_LONGEST_LINE = 300
_MEGABYTE = 1 << 20


class Failed(Exception):
    """The stack is not as it was to be; says which part and why."""


TROUBLES = (Failed, ports.Taken, FileNotFoundError, TimeoutError, subprocess.CalledProcessError)
"""What keeps a stack from being as it was to be, said in words for whoever asked."""


def main() -> int:
    """Do what the arguments say; 0 if all is well."""
    parser = argparse.ArgumentParser(prog="python -m infra.stack", description=__doc__)
    parser.add_argument("verb", choices=["up", "down", "status", "clean", "env", "logs"])
    parser.add_argument("--profile", choices=["run", "test"], default="run")
    parser.add_argument("--only", choices=["stores"], help="up: stores and front door, without migrations and hosts")
    parser.add_argument("--reload", action="store_true", help="up: hosts start anew when a file changes")
    parser.add_argument("--yes", action="store_true", help="clean: do not ask")
    parser.add_argument("part", nargs="*", help="logs: of these parts only")
    given = parser.parse_args()
    chosen = profile(given.profile)
    try:
        match given.verb:
            case "up":
                with _alone(chosen):
                    up(chosen, given.only or "hosts", is_reloading=given.reload)
            case "down":
                with _alone(chosen):
                    down(chosen)
            case "status":
                return status(chosen)
            case "clean":
                with _alone(chosen):
                    clean(chosen, is_sure=given.yes)
            case "env":
                show_environment(chosen)
            case _:
                show_logs(chosen, given.part)
    except TROUBLES as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


type Wanted = Literal["stores", "hosts", "localstack"]
"""How much of a stack: the stores and the front door; with them our own hosts; or with them LocalStack."""


def up(profile: Profile, wanted: Wanted, *, is_reloading: bool = False) -> None:
    """All that is wanted answers when this returns; what runs already and has not changed is left alone."""
    started = time.monotonic()
    clusters.make_folders(profile)
    values = environment.write(profile)
    rendered = configs.render(profile, values)
    configs.publish_web(profile)
    in_docker = compose.is_chosen(profile)
    stores = [] if in_docker else programs.stores(profile, values, rendered)
    hosts = programs.hosts(profile, values, is_reloading=is_reloading)
    in_localstack = programs.in_localstack(profile, values)
    before = supervision.connect(profile)
    go_on = programs.HTTP & supervision.running(before) if before else set()
    last = {
        "stores": [],
        "hosts": [each.name for each in hosts],
        "localstack": ["live", *go_on, *programs.IN_LOCALSTACK],
    }[wanted]
    conf = profile.state / "supervisord.conf"
    conf.touch(mode=0o600)
    conf.write_text(programs.supervisord(profile, [*stores, *hosts, *in_localstack]))
    if before is None:
        supervision.end_orphans(profile)
        clusters.empty_metrics(profile)
        _refuse_taken_ports(profile, [*(each.name for each in stores), *last])
    if not in_docker:
        clusters.make_cluster(profile, values)
    calls = supervision.start(profile)
    if in_docker:
        compose.write_settings(profile, values, rendered)
        compose.up(profile)
        _wait(profile, calls, compose.SERVICES, values, tells=True)
    else:
        _bring_up(profile, calls, [each.name for each in stores], values)
    clusters.make_database(values)
    buckets.apply(
        endpoint=values["S3_ENDPOINT_URL"],
        access_key=values["S3_ACCESS_KEY_ID"],
        secret_key=values["S3_SECRET_ACCESS_KEY"],
        bucket=values["S3_BUCKET"],
        referer=values["MEDIA_REFERER"],
    )
    supervision.stop_programs(calls, {"stores": (), "hosts": ("invoker",), "localstack": programs.TRIGGERS}[wanted])
    if last:
        subprocess.run(
            [sys.executable, "-m", "infra.migrate"],
            cwd=CLONE,
            env={**os.environ, **environment.of_functions(values)},
            check=True,
        )
        _bring_up(profile, calls, last, values)
    print(f"Up in {time.monotonic() - started:.1f} s: http://localhost:{profile.ports.front}", flush=True)


def down(profile: Profile) -> None:
    """Nothing of this profile runs when this returns; its data stay."""
    started = time.monotonic()
    is_stopped = supervision.stop(profile, first=programs.RUNNING_FUNCTIONS)
    compose.down(profile)
    if is_stopped:
        print(f"Stopped in {time.monotonic() - started:.1f} s")
    else:
        print("Nothing was running")


def leave_localstack(profile: Profile) -> None:
    """LocalStack and what is deployed in it are gone when this returns; hosts that run take the triggers over."""
    calls = supervision.connect(profile)
    if calls is None or not supervision.stop_programs(calls, programs.IN_LOCALSTACK):
        print("LocalStack was not running")
        return
    if "light" in supervision.running(calls):
        supervision.start_programs(calls, list(programs.TRIGGERS))
    print("LocalStack is stopped; the stores go on: make stop ends them")


def status(profile: Profile) -> int:
    """Print each part; 1 if any is dead, each with its log."""
    values, calls = environment.read(profile), supervision.connect(profile)
    if calls is None:
        print(f"Not running: supervisord of {profile.label}; log: {profile.state}/logs/supervisord.log")
        return 1
    problems = {name: readiness.problem(name, profile, values) for name in ports.wanted(profile)}
    dead, alive = 0, 0
    for process in calls.getAllProcessInfo():
        is_resting = not process["start"] or process["group"] in programs.RUNNING_FUNCTIONS
        if process["statename"] == "STOPPED" and is_resting:
            print(f"{process['name']:<14}not asked for")
            continue
        is_dead = process["statename"] != "RUNNING"
        problem = None if is_dead else problems.get(process["group"])
        dead += bool(is_dead or problem)
        alive += not is_dead
        memory = "" if is_dead else f"{_resident(process['pid']) / _MEGABYTE:6.0f} MB"
        trouble = f"  {problem or process['spawnerr']}  log: {process['stdout_logfile']}" if is_dead or problem else ""
        print(f"{process['name']:<14}{process['statename']:<10}{memory:>10}{trouble}")
    if compose.is_chosen(profile):
        for name in compose.SERVICES:
            alive += problems[name] is None
            dead += problems[name] is not None
            print(f"{name:<14}in Docker  {problems[name] or ''}")
    print(f"{dead} dead" if dead else "All parts answer" if alive else "Nothing was started")
    return 1 if dead or not alive else 0


def clean(profile: Profile, *, is_sure: bool) -> None:
    """Delete all data of the profile, if whoever asks is sure."""
    if not profile.state.exists():
        print("There is nothing to delete")
        return
    if not is_sure:
        if not sys.stdin.isatty():
            raise Failed(f"This deletes {profile.state}. Nobody can be asked here: say --yes")
        if input(f"Delete all data in {profile.state}? [y/N] ").strip().lower() not in {"y", "yes"}:
            print("Kept")
            return
    supervision.stop(profile, first=programs.RUNNING_FUNCTIONS)
    compose.down(profile, and_data=True)
    shutil.rmtree(profile.state)
    print(f"Deleted {profile.state}")


def show_environment(profile: Profile) -> None:
    """Print what the functions' environments get, as KEY=value lines."""
    values = environment.read(profile)
    if not values or supervision.connect(profile) is None:
        raise Failed(f"The stack is not up: python -m infra.stack up --profile {profile.name}")
    for name, value in environment.of_functions(values).items():
        print(f"{name}={value}")


def show_logs(profile: Profile, parts: list[str]) -> None:
    """Follow the logs until interrupted."""
    found = [path for path in sorted((profile.state / "logs").glob("*.log")) if not parts or _part(path) in parts]
    if not found:
        raise Failed(f"No such logs in {profile.state}/logs")
    os.execvp("tail", ["tail", "-n", "20", "-F", *map(str, found)])  # noqa: S606 (it becomes tail)


@contextlib.contextmanager
def _alone(profile: Profile) -> Iterator[None]:
    """Two at once would trip over each other: the second waits for the first."""
    lock = profile.state.with_suffix(".lock")
    lock.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _bring_up(profile: Profile, calls: Any, names: list[str], values: Mapping[str, str]) -> None:
    """Start what does not run and wait until each answers; says how long each took."""
    running = supervision.running(calls)
    new = [name for name in names if name not in running]
    _refuse_taken_ports(profile, new)
    _wait(profile, calls, names, values, tells=bool(supervision.start_programs(calls, names)))


def _wait(profile: Profile, calls: Any, names: Collection[str], values: Mapping[str, str], *, tells: bool) -> None:
    """Until each answers; raises `Failed` with the end of the log of each that does not."""
    begun = time.monotonic()
    missing = dict.fromkeys(names, "not asked yet")
    while missing:
        for name in list(missing):
            trouble = readiness.problem(name, profile, values) or _state(calls, name)
            if trouble is None:
                del missing[name]
                if tells:
                    print(f"  {name} answers after {time.monotonic() - begun:.1f} s", flush=True)
            else:
                missing[name] = trouble
        waited = time.monotonic() - begun
        hopeless = _crashing(calls) & missing.keys() if waited > _CRASHING_SECONDS else set()
        if hopeless or (missing and waited > _DEADLINE_SECONDS):
            raise Failed("\n\n".join(_report(profile, name, missing[name]) for name in sorted(hopeless or missing)))
        if missing:
            time.sleep(_PAUSE_SECONDS)


def _refuse_taken_ports(profile: Profile, names: list[str]) -> None:
    wanted = ports.wanted(profile)
    ports.refuse_taken([port for name in names for port in wanted.get(name, [])])


def _crashing(calls: Any) -> set[str]:
    return {each["group"] for each in calls.getAllProcessInfo() if each["statename"] in {"BACKOFF", "FATAL"}}


def _state(calls: Any, name: str) -> str | None:
    """What keeps the group's processes from running, if anything."""
    states = {each["statename"] for each in calls.getAllProcessInfo() if each["group"] == name} - {"RUNNING"}
    return ", ".join(sorted(states)) or None


def _report(profile: Profile, name: str, trouble: str) -> str:
    logs = [path for path in (profile.state / "logs").glob(f"{name}*.log") if path.stat().st_size]
    if not logs:
        return f"{name} does not come up: {trouble} (its log is empty, or Docker's: docker compose logs {name})"
    newest = max(logs, key=lambda path: path.stat().st_mtime)
    lines = newest.read_text(errors="replace").splitlines()[-_LAST_LINES:]
    tail = "\n".join(line[:_LONGEST_LINE] for line in lines)
    return f"{name} does not come up: {trouble}\nThe end of {newest}:\n{tail}"


def _resident(pid: int) -> int:
    """Bytes of memory that a process and its children hold."""
    try:
        process = psutil.Process(pid)
        return sum(each.memory_info().rss for each in [process, *process.children(recursive=True)])
    except psutil.Error:
        return 0


def _part(path: Path) -> str:
    return path.stem.partition("-")[0]


if __name__ == "__main__":
    sys.exit(main())
