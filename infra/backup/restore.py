"""Restores a stack that does not run to a moment: all three stores from the backup, then a check of rows and files."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psycopg

from infra.backup import base, cassandra, check, files, folder, postgres
from infra.backup.folder import BackupFailed, Base, Generation, describe
from infra.stack import compose, configs, env_file, programs, provision, readiness, supervision
from infra.stack.profiles import Profile, is_root
from infra.stack.programs import Program
from layers.core.settings import settings as function_settings
from layers.postgres import connection as postgres_connection

LATEST = "latest"
"""The last commit in the WAL, which messages and files may not reach."""
_START_SECONDS = 600
_STOP_SECONDS = 60
_PAUSE_SECONDS = 0.1
_PRINT_EVERY = 1000

IS_RECOVERING = "SELECT pg_is_in_recovery()"


class Plan(msgspec.Struct, frozen=True):
    """What to restore."""

    generation: Generation
    folder: Path
    base: Base
    moment: datetime
    reached: datetime
    """The newest moment that all stores reach."""
    has_all_wal: bool
    """Whether the whole WAL is replayed, because no commit in it is later than the moment."""


def restore(profile: Profile, backup: Path, to: str) -> None:
    """Restore the data of a stack, and keep what it has now in another folder. Prints what is done.

    `to` is the moment; empty for the newest one that all three stores reach, LATEST for the last commit. If it fails,
    the earlier data are put back. Raises `BackupFailed`, `CommandFailed`, and the errors of the stores' clients.
    """
    if supervision.connect(profile) is not None:
        raise BackupFailed(f"The stack runs. Stop it with: make stop PROFILE={profile.name}")
    if compose.is_chosen(profile):
        raise BackupFailed("A restore needs stores that run without Docker: set PHOTOGRAM_DOCKER=no")
    began = time.monotonic()
    plan = choose(folder.read_generations(backup), to)
    print(f"Restoring {plan.generation.path} to {describe(plan.moment)}, from the base backup {plan.folder.name}")
    if plan.moment > plan.reached:
        print(
            f"Messages and files are complete only until {describe(plan.reached)}; "
            "rows whose files are missing are listed below and are not shown"
        )
    supervision.end_orphans(profile)
    with _kept_aside(profile) as aside:
        report = _restore(profile, plan)
    print(report.describe())
    print(f"Restored in {time.monotonic() - began:.1f} s. Start the stack with: {profile.start_command}")
    if aside:
        print(f"The earlier data are in {aside}. Delete them when they are not needed any more.")


def choose(generations: list[Generation], to: str) -> Plan:
    """The base backup from which to restore; raises `BackupFailed` if the moment is outside the backup."""
    moment = folder.parse_moment(to) if to not in {"", LATEST} else None
    possible: list[str] = []
    for generation in reversed(generations):
        reached = generation.read_reached()
        bases = list(generation.read_bases().items())
        if reached is None or not bases or reached < bases[0][1].ended_at:
            continue
        last = max(reached, postgres.find_last_commit(generation.wal) or reached)
        possible.append(f"{describe(bases[0][1].ended_at)} to {describe(last)}")
        wanted = moment or (last if to == LATEST else reached)
        fitting = [(path, each) for path, each in bases if each.ended_at <= wanted]
        if fitting and wanted <= last:
            path, chosen = fitting[-1]
            return Plan(generation, path, chosen, wanted, reached, has_all_wal=wanted == last)
    if not possible:
        raise BackupFailed("The backup is not complete yet: it has no base backup that all three stores reach")
    raise BackupFailed(f"The backup does not reach {to}. It has: {'; '.join(possible)}")


@contextlib.contextmanager
def _kept_aside(profile: Profile) -> Iterator[Path | None]:
    """Keep the state folder under another name; if the block raises, it is put back."""
    state, aside = profile.state, None
    if state.exists():
        aside = state.with_name(f"{state.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
        state.rename(aside)
        print(f"The present data are kept in {aside}", flush=True)
    try:
        yield aside
    except BaseException:
        lines = [f"\n{path.name}: {_last_line(path)}" for path in (state / "logs").glob("*.log")]
        shutil.rmtree(state, ignore_errors=True)
        if aside:
            aside.rename(state)
        print("The restore failed, and nothing was changed." + "".join(lines))
        raise


def _restore(profile: Profile, plan: Plan) -> check.Report:
    provision.create_folders(profile)
    shutil.copy2(plan.folder / "env", profile.env_file)
    settings = env_file.begin_generation(profile)
    rendered = configs.render(profile, settings)
    stores = {each.name: each for each in programs.stores(profile, settings, rendered)}
    _copy_postgres(profile, plan)
    _copy_cassandra(profile, plan)
    with contextlib.ExitStack() as running:
        replaying = _replaying_cassandra(profile, stores["cassandra"], plan)
        started = {
            "postgres": running.enter_context(_running(profile, _recovering_postgres(stores["postgres"], plan))),
            "cassandra": running.enter_context(_running(profile, replaying)),
            "minio": running.enter_context(_running(profile, _silent_minio(stores["minio"]))),
        }
        _wait("minio", profile, settings, started)
        _put_files(settings, plan)
        for name in ("postgres", "cassandra"):
            _wait(name, profile, settings, started)
        _wait_for_promotion(settings, started["postgres"])
        os.environ.update(env_file.for_administration(settings))
        function_settings.cache_clear()
        print("Checking rows and files …", flush=True)
        try:
            return check.run(files.connect(env_file.for_administration(settings)), settings["S3_BUCKET"], repairs=True)
        finally:
            postgres_connection.close()


def _copy_postgres(profile: Profile, plan: Plan) -> None:
    """Copy base backup and WAL; PostgreSQL replays the WAL from its own folder, also the segment that is not full."""
    source, target = plan.folder / "postgres", programs.postgres_folder(profile)
    print(f"Verifying and copying PostgreSQL's base backup ({_megabytes(source)}) …", flush=True)
    postgres.verify_base(source)
    shutil.copytree(source, target)
    first = postgres.first_segment(source)
    for name, path in postgres.segments(plan.generation.wal).items():
        if name >= first or name.endswith(".history"):
            shutil.copy2(path, target / "pg_wal" / name)
    (target / "recovery.signal").touch()
    target.chmod(0o700)
    if is_root():
        for path in (target, *target.rglob("*")):
            shutil.chown(path, "postgres", "postgres")


def _copy_cassandra(profile: Profile, plan: Plan) -> None:
    """Copy tables and commit log; of a segment, the full copy if there is one."""
    source, target = plan.folder / "cassandra", profile.state / "cassandra"
    print(f"Copying Cassandra's tables ({_megabytes(source)}) …", flush=True)
    shutil.copytree(source, target / "data")
    (target / "commitlog").mkdir()
    for commit_log in (plan.generation.live_commit_log, plan.generation.commit_log):
        for name in cassandra.segment_names(commit_log):
            if name >= plan.base.first_segment:
                shutil.copy2(commit_log / name, target / "commitlog" / name)


def _recovering_postgres(program: Program, plan: Plan) -> Program:
    """PostgreSQL, with the moment at which it ends the recovery; it refuses one after the last commit."""
    options = ["restore_command=false", "recovery_target_action=promote"]
    if not plan.has_all_wal:
        options.append(f"recovery_target_time={plan.moment.isoformat()}")
    return msgspec.structs.replace(
        program, command=[*program.command, *(part for option in options for part in ("-c", option))]
    )


def _replaying_cassandra(profile: Profile, program: Program, plan: Plan) -> Program:
    """Cassandra, with a file in front of its class path that names the moment."""
    properties = profile.state / "cassandra" / "replay" / "commitlog_archiving.properties"
    properties.parent.mkdir()
    properties.write_text(f"restore_point_in_time={plan.moment:%Y:%m:%d %H:%M:%S.%f}\n")
    place = program.command.index("-cp") + 1
    command = list(program.command)
    command[place] = f"{properties.parent}:{command[place]}"
    return msgspec.structs.replace(program, command=command)


def _silent_minio(program: Program) -> Program:
    """MinIO without notifications: RabbitMQ does not run, and restored originals need no processing."""
    variables = {name: value for name, value in program.variables.items() if not name.startswith("MINIO_NOTIFY_")}
    return msgspec.structs.replace(program, variables=variables)


def _put_files(settings: Mapping[str, str], plan: Plan) -> None:
    present = files.read_present(plan.generation, plan.moment)
    print(f"Restoring {len(present)} files …", flush=True)
    store = files.connect(env_file.for_administration(settings))
    store.create_bucket(Bucket=settings["S3_BUCKET"])
    for count, damaged in enumerate(files.restore(store, settings["S3_BUCKET"], plan.generation, present), 1):
        if damaged:
            print(f"  the copy of {damaged} is missing or damaged")
        if not count % _PRINT_EVERY:
            print(f"  {count} of {len(present)}", flush=True)


@contextlib.contextmanager
def _running(profile: Profile, program: Program) -> Iterator[subprocess.Popen[bytes]]:
    """Run a store by itself; it is stopped at the end of the block, so that everything it has replayed is on disk."""
    with (profile.state / "logs" / f"{program.name}.log").open("ab") as log:
        process = subprocess.Popen(
            program.command,
            cwd=profile.state,
            env={**os.environ, **program.variables},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            user=program.user,
            group=program.user,
            extra_groups=[] if program.user else None,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.Signals[f"SIG{program.stop_signal}"])
        process.wait(_STOP_SECONDS)


def _wait(
    name: str, profile: Profile, settings: Mapping[str, str], started: Mapping[str, subprocess.Popen[bytes]]
) -> None:
    """Wait until a store answers; raises `BackupFailed` if it ends or never does."""
    print(f"Waiting until {name} answers …", flush=True)
    deadline = time.monotonic() + _START_SECONDS
    while problem := readiness.problem(name, profile, settings):
        if (code := started[name].poll()) is not None:
            raise BackupFailed(f"{name} ended with exit code {code} while it was restored")
        if time.monotonic() > deadline:
            raise BackupFailed(f"{name} does not answer: {problem}")
        time.sleep(_PAUSE_SECONDS)


def _wait_for_promotion(settings: Mapping[str, str], process: subprocess.Popen[bytes]) -> None:
    """Wait until PostgreSQL has replayed the WAL up to the moment and takes writes."""
    url = env_file.for_administration(settings)["DATABASE_URL"]
    while True:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url) as db:
            if db.execute(IS_RECOVERING).fetchone() == (False,):
                return
        if process.poll() is not None:
            raise BackupFailed("PostgreSQL ended while it replayed its WAL")
        time.sleep(_PAUSE_SECONDS)


def _last_line(path: Path) -> str:
    return (path.read_text(errors="replace").splitlines() or [""])[-1]


def _megabytes(path: Path) -> str:
    return f"{base.size_of(path) / (1 << 20):.0f} MB"
