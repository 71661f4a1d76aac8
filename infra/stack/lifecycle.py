"""Starts, stops and checks a profile's stack, and deletes its data."""

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

import msgspec
import psutil

from infra.minio import buckets
from infra.stack import (
    accounts,
    commands,
    compose,
    configs,
    env_file,
    options,
    ports,
    programs,
    provision,
    readiness,
    supervision,
)
from infra.stack.profiles import CLONE, Profile

_DEADLINE_SECONDS = 120
_CRASH_SECONDS = 15
"""A program that still crashes at its start after this time is reported without waiting for the deadline."""
_PAUSE_SECONDS = 0.1
_LAST_LINES = 20
_MAX_LINE = 300
_MEGABYTE = 1 << 20

type Scope = Literal["stores", "hosts", "localstack"]
"""What to start: the stores and nginx only, or also the local function hosts, or also LocalStack."""


class StackFailed(Exception):
    """The stack is not in the requested state; the message says which program is the cause, and why."""


ERRORS = (
    *(StackFailed, options.InvalidSetting, ports.Taken, supervision.NotReplaced, commands.CommandFailed),
    *(FileNotFoundError, PermissionError, TimeoutError, subprocess.CalledProcessError),
)
"""What `up`, `down` and `clean` raise; the messages are for the user."""


@contextlib.contextmanager
def lock(profile: Profile) -> Iterator[None]:
    """Wait until no other process changes this stack, and keep others waiting until the end of the context."""
    path = profile.state.with_suffix(".lock")
    path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def up(profile: Profile, scope: Scope, *, reloads: bool = False, replaces_hosts: bool = False) -> None:
    """Start everything in the scope and wait until it answers; running programs that have not changed are left alone.

    After a change of the code, or with `replaces_hosts`, the API's hosts are replaced without refusing a request.
    Applies the migrations unless the scope is `stores`. Raises `ERRORS`.
    """
    started = time.monotonic()
    provision.create_folders(profile)
    settings = env_file.write(profile)
    in_docker = compose.is_chosen(profile)
    if env_file.stores_ca_file(settings) and (in_docker or scope == "localstack"):
        raise StackFailed(
            "Neither stores in Docker nor functions in LocalStack can use TLS to the stores: "
            "set PHOTOGRAM_DOCKER=no, or PHOTOGRAM_STORES_TLS=no"
        )
    rendered = configs.render(profile, settings)
    configs.publish_web(profile)
    backup = programs.backup(profile, settings)
    if backup and in_docker:
        raise StackFailed("A backup needs stores that run without Docker: set PHOTOGRAM_DOCKER=no")
    stores = [] if in_docker else programs.stores(profile, settings, rendered)
    hosts = programs.hosts(profile, settings, reloads=reloads)
    localstack = programs.localstack(profile, settings)
    supervisord = supervision.connect(profile)
    was_running = supervisord is not None
    if was_running:
        _print_changes(profile)
    function_hosts = {
        "stores": [],
        "hosts": [each.name for each in hosts],
        "localstack": [programs.API, programs.LOGS, *programs.LOCALSTACK],
    }[scope]
    configuration = profile.state / "supervisord.conf"
    configuration.touch(mode=0o600)
    guard = programs.guard(profile, scope, reloads=reloads)
    configuration.write_text(programs.supervisord(profile, [*stores, *hosts, *localstack, *backup, guard]))
    if not was_running:
        supervision.end_orphans(profile)
        provision.delete_metrics(profile)
        _refuse_taken_ports(profile, [*(each.name for each in stores), *function_hosts])
    if not in_docker:
        provision.create_postgres_cluster(profile, settings)
    supervisord = supervision.start(profile)
    if in_docker:
        compose.write_variables(profile, settings, rendered)
        compose.up(profile)
        _wait(profile, supervisord, compose.SERVICES, settings, prints=True)
    else:
        _start_programs(profile, supervisord, [each.name for each in stores], settings)
    _prepare_stores(settings, is_backed_up=bool(backup))
    superseded = {"stores": (), "hosts": ("invoker",), "localstack": (programs.TRIGGERS,)}[scope]
    supervision.stop_programs(supervisord, superseded)
    if function_hosts:
        subprocess.run(
            [sys.executable, "-m", "infra.migrate"],
            cwd=CLONE,
            env={**os.environ, **env_file.for_administration(settings)},
            check=True,
        )
        had_api = programs.API in supervision.running(supervisord)
        _start_programs(profile, supervisord, function_hosts, settings)
        api = next(each for each in hosts if each.name == programs.API)
        _update_api(profile, supervisord, api, is_current=reloads or not had_api, replaces_hosts=replaces_hosts)
    _start_programs(profile, supervisord, [*(each.name for each in backup), guard.name], settings)
    _applied_file(profile).write_bytes(msgspec.json.encode(_options(profile)))
    seconds = time.monotonic() - started
    print(f"The stack runs at {profile.origin} (started in {seconds:.1f} s)", flush=True)


def applied_options(profile: Profile) -> dict[str, str]:
    """The settings with which the stack was started; empty if it was never started."""
    file = _applied_file(profile)
    return msgspec.json.decode(file.read_bytes(), type=dict[str, str]) if file.is_file() else {}


def _applied_file(profile: Profile) -> Path:
    return profile.state / "options.json"


def _options(profile: Profile) -> dict[str, str]:
    """The values of the settings that this stack uses."""
    is_test = profile.name == "test"
    used = [name for name in options.OPTIONS if not is_test or name not in options.OF_FUNCTIONS]
    return {name: options.value(name, is_test=is_test) for name in used}


def _print_changes(profile: Profile) -> None:
    before = applied_options(profile)
    for name, value in _options(profile).items():
        if before and before.get(name, "") != value:
            print(f"  {name} changes from {before.get(name) or 'nothing'} to {value or 'nothing'}", flush=True)


def restart(profile: Profile) -> None:
    """Let the running stack use the current code; no request is refused meanwhile. Raises `ERRORS`."""
    supervisord = supervision.connect(profile)
    started = supervision.running(supervisord) if supervisord else set()
    if programs.API not in started:
        raise StackFailed(f"The stack does not run. Start it with: {profile.start_command}")
    scope: Scope = "localstack" if started & set(programs.LOCALSTACK) else "hosts"
    up(profile, scope, reloads=reloads(profile), replaces_hosts=True)


def reloads(profile: Profile) -> bool:
    """Whether the running hosts restart themselves when the code changes, as `make dev` starts them."""
    supervisord = supervision.connect(profile)
    if supervisord is None or programs.API not in supervision.running(supervisord):
        return False
    try:
        return programs.RELOAD in psutil.Process(supervisord.getProcessInfo(programs.API)["pid"]).cmdline()
    except psutil.Error:  # it is being started
        return False


def down(profile: Profile) -> None:
    """Stop all programs of the profile; its data are kept."""
    started = time.monotonic()
    was_running = supervision.stop(profile, first=programs.CLIENTS)
    compose.down(profile)
    if was_running:
        print(f"The stack was stopped in {time.monotonic() - started:.1f} s. Its data are kept.")
    else:
        print("The stack was not running")


def stop_localstack(profile: Profile) -> None:
    """Stop LocalStack, which deletes what is deployed in it; start the triggers again."""
    supervisord = supervision.connect(profile)
    if supervisord is None or not supervision.stop_programs(supervisord, programs.LOCALSTACK):
        print("LocalStack was not running")
        return
    supervision.start_programs(supervisord, [programs.TRIGGERS])
    print("LocalStack was stopped. The local hosts run the functions again; stop everything with: make stop")


def status(profile: Profile) -> int:
    """Print the state of each program; 1 if one has failed (with its log), or if none runs."""
    settings, supervisord = env_file.read(profile), supervision.connect(profile)
    if supervisord is None:
        log = profile.state / "logs" / "supervisord.log"
        print(f"The stack does not run. Start it with: {profile.start_command}\nIf it was started, see {log}")
        return 1
    problems = {name: readiness.problem(name, profile, settings) for name in ports.by_program(profile)}
    failed, alive = 0, 0
    for process in supervisord.getAllProcessInfo():
        may_be_stopped = not process["start"] or process["group"] in programs.FUNCTION_HOSTS
        if process["statename"] == "STOPPED" and may_be_stopped:
            print(f"{process['name']:<14}not started")
            continue
        is_dead = process["statename"] != "RUNNING"
        problem = None if is_dead else problems.get(process["group"])
        failed += bool(is_dead or problem)
        alive += not is_dead
        memory = "" if is_dead else f"{_memory_bytes(process['pid']) / _MEGABYTE:6.0f} MB"
        reason = f"  {problem or process['spawnerr']}  log: {process['stdout_logfile']}" if is_dead or problem else ""
        print(f"{process['name']:<14}{process['statename']:<10}{memory:>10}{reason}")
    if compose.is_chosen(profile):
        for name in compose.SERVICES:
            alive += problems[name] is None
            failed += problems[name] is not None
            print(f"{name:<14}in Docker  {problems[name] or ''}")
    if failed:
        print(f"{failed} failed; the reasons are in the logs named above")
    else:
        print("All started programs answer" if alive else f"No program runs. Start it with: {profile.start_command}")
    return 1 if failed or not alive else 0


def clean(profile: Profile, *, confirmed: bool) -> None:
    """Stop the stack and delete all data of the profile; asks on the terminal unless `confirmed`. Raises `ERRORS`."""
    if not profile.state.exists():
        print(f"There are no data to delete ({profile.state} does not exist)")
        return
    if not confirmed:
        if not sys.stdin.isatty():
            raise StackFailed(
                f"This deletes all data in {profile.state}, and there is no terminal to ask for confirmation. "
                f"To delete them anyway: make clean PROFILE={profile.name} YES=yes"
            )
        if input(f"Delete all data in {profile.state}? [y/N] ").strip().lower() not in {"y", "yes"}:
            print("Nothing was deleted")
            return
    supervision.stop(profile, first=programs.CLIENTS)
    compose.down(profile, and_data=True)
    shutil.rmtree(profile.state)
    shutil.rmtree(profile.metrics, ignore_errors=True)
    print(f"Deleted {profile.state}")


def _prepare_stores(settings: Mapping[str, str], *, is_backed_up: bool) -> None:
    """Create the database, the accounts and the bucket, where they are missing."""
    provision.create_database(settings)
    accounts.create_in_postgres(settings)
    accounts.create_in_cassandra(settings)
    accounts.create_in_minio(settings)
    provision.set_replication_slot(settings, is_wanted=is_backed_up)
    buckets.apply(
        endpoint=settings["S3_ENDPOINT_URL"],
        access_key=env_file.ADMIN,
        secret_key=settings["MINIO_ADMIN_PASSWORD"],
        bucket=settings["S3_BUCKET"],
        referer=settings["MEDIA_REFERER"],
        ca_file=env_file.stores_ca_file(settings),
    )


def _update_api(
    profile: Profile, supervisord: Any, api: programs.Program, *, is_current: bool, replaces_hosts: bool
) -> None:
    """Replace the API's hosts if they run other code than the current one, which must be importable."""
    file, current = profile.state / "hosts" / "code", programs.code_fingerprint()
    if not is_current and (replaces_hosts or not file.exists() or file.read_text() != current):
        began = time.monotonic()
        commands.run([*api.command, "--check"], **api.variables)
        supervision.replace_children(supervisord, api.name)
        print(f"  the API's hosts were replaced in {time.monotonic() - began:.1f} s", flush=True)
    file.write_text(current)


def _start_programs(profile: Profile, supervisord: Any, names: list[str], settings: Mapping[str, str]) -> None:
    """Start those that do not run, wait until all answer, and print how long each took."""
    running = supervision.running(supervisord)
    _refuse_taken_ports(profile, [name for name in names if name not in running])
    started = supervision.start_programs(supervisord, names)
    _wait(profile, supervisord, names, settings, prints=bool(started))


def _wait(
    profile: Profile, supervisord: Any, names: Collection[str], settings: Mapping[str, str], *, prints: bool
) -> None:
    """Wait until each program answers; raises `StackFailed` with the end of the log of each that does not."""
    began = time.monotonic()
    missing = dict.fromkeys(names, "not checked yet")
    while missing:
        for name in list(missing):
            problem = readiness.problem(name, profile, settings) or _states(supervisord, name)
            if problem is None:
                del missing[name]
                if prints:
                    print(f"  {name} answers after {time.monotonic() - began:.1f} s", flush=True)
            else:
                missing[name] = problem
        waited = time.monotonic() - began
        crashed = _crashing(supervisord) & missing.keys() if waited > _CRASH_SECONDS else set()
        if crashed or (missing and waited > _DEADLINE_SECONDS):
            raise StackFailed(
                "\n\n".join(_describe_failure(profile, name, missing[name]) for name in sorted(crashed or missing))
            )
        if missing:
            time.sleep(_PAUSE_SECONDS)


def _refuse_taken_ports(profile: Profile, names: list[str]) -> None:
    by_program = ports.by_program(profile)
    ports.refuse_taken([port for name in names for port in by_program.get(name, [])])


def _crashing(supervisord: Any) -> set[str]:
    return {each["group"] for each in supervisord.getAllProcessInfo() if each["statename"] in {"BACKOFF", "FATAL"}}


def _states(supervisord: Any, name: str) -> str | None:
    """The states other than RUNNING of the program's processes; None if all run."""
    states = {each["statename"] for each in supervisord.getAllProcessInfo() if each["group"] == name} - {"RUNNING"}
    return ", ".join(sorted(states)) or None


def _describe_failure(profile: Profile, name: str, problem: str) -> str:
    logs = [path for path in (profile.state / "logs").glob(f"{name}*.log") if path.stat().st_size]
    if not logs:
        return f"{name} did not start: {problem}. Its log is empty; if it runs in Docker: docker compose logs {name}"
    newest = max(logs, key=lambda path: path.stat().st_mtime)
    lines = newest.read_text(errors="replace").splitlines()[-_LAST_LINES:]
    tail = "\n".join(line[:_MAX_LINE] for line in lines)
    return f"{name} did not start: {problem}\nThe last lines of {newest}:\n{tail}"


def _memory_bytes(pid: int) -> int:
    """The memory of a process and its descendants, what they share counted once; 0 if it has ended."""
    try:
        process = psutil.Process(pid)
        return sum(each.memory_full_info().pss for each in [process, *process.children(recursive=True)])
    except psutil.Error:
        return 0
