"""What must exist before the stores can start, and the database after."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psycopg

from infra.stack.environment import USER
from infra.stack.profiles import Profile, is_root
from infra.stack.programs import postgres_folder, postgres_program

DATABASES: Final = "SELECT 1 FROM pg_database WHERE datname = 'photogram'"
CREATE_DATABASE: Final = "CREATE DATABASE photogram"


def make_folders(profile: Profile) -> None:
    """The state folder; others may pass through it (PostgreSQL and nginx have users of their own), but not look."""
    profile.state.mkdir(mode=0o711, parents=True, exist_ok=True)
    for name in ("logs", "minio", "cassandra", "rabbitmq", "nginx", "metrics", "config"):
        (profile.state / name).mkdir(exist_ok=True)
    (profile.state / "logs").chmod(0o700)
    (profile.state / "localstack" / "tmp").mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in ("minio", "cassandra", "rabbitmq"):
        (profile.state / folder).chmod(0o700)


def make_cluster(profile: Profile, environment: Mapping[str, str]) -> None:
    """PostgreSQL's cluster, owned by `photogram`: made as the `postgres` user when this is root."""
    folder = postgres_folder(profile)
    if (folder / "PG_VERSION").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    with tempfile.NamedTemporaryFile("w") as password:
        password.write(environment["POSTGRES_PASSWORD"])
        password.flush()
        command = [
            *(str(postgres_program("initdb")), "--pgdata", str(folder), "--username", USER),
            *("--pwfile", password.name, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"),
        ]
        if is_root():
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            os.chown(password.name, owner.pw_uid, owner.pw_gid)
            command = ["runuser", "-u", "postgres", "--", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")


def make_database(environment: Mapping[str, str]) -> None:
    """The database, once PostgreSQL answers."""
    server = environment["DATABASE_URL"].rpartition("/")[0] + "/postgres"
    with psycopg.connect(server, autocommit=True) as db:
        if not db.execute(DATABASES).fetchone():
            db.execute(CREATE_DATABASE)


def empty_metrics(profile: Profile) -> None:
    """Prometheus's files belong to processes; those of a former start would be counted again."""
    for path in Path(profile.state / "metrics").glob("*.db"):
        path.unlink(missing_ok=True)
