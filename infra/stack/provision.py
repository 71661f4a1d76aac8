"""Creates what must exist before the stores start, and the database after PostgreSQL has started."""

import grp
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from typing import Final

import psycopg

from infra.stack.env_file import ADMIN, for_administration, postgres_url
from infra.stack.profiles import NGINX_USER, Profile, is_root
from infra.stack.programs import REPLICATION_SLOT, postgres_folder, postgres_program

FIND_DATABASE: Final = "SELECT 1 FROM pg_database WHERE datname = 'photogram'"
CREATE_DATABASE: Final = "CREATE DATABASE photogram"
FIND_SLOT: Final = "SELECT 1 FROM pg_replication_slots WHERE slot_name = %(name)s"
CREATE_SLOT: Final = "SELECT pg_create_physical_replication_slot(%(name)s, true)"
DROP_SLOT: Final = """
    SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %(name)s AND NOT active
"""


def create_folders(profile: Profile) -> None:
    """Create the state folder and its folders. PostgreSQL's and nginx's users may enter it, but not list it."""
    profile.state.mkdir(mode=0o711, parents=True, exist_ok=True)
    for name in ("logs", "minio", "cassandra", "rabbitmq", "nginx", "config"):
        (profile.state / name).mkdir(exist_ok=True)
    (profile.state / "logs").chmod(0o700)
    (profile.state / "localstack" / "tmp").mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in ("minio", "cassandra", "rabbitmq"):
        (profile.state / folder).chmod(0o700)
    if profile.events:
        profile.recordings.mkdir(mode=0o700, exist_ok=True)
    else:
        shutil.rmtree(profile.recordings, ignore_errors=True)
    sockets = profile.state / "hosts"
    sockets.mkdir(mode=0o700, exist_ok=True)
    if is_root():
        os.chown(sockets, 0, grp.getgrnam(NGINX_USER).gr_gid)
        sockets.chmod(0o2710)  # sockets get the folder's group
    profile.metrics.mkdir(mode=0o700, exist_ok=True)
    if profile.metrics.stat().st_uid != os.geteuid():
        raise PermissionError(f"{profile.metrics} belongs to another user, who would read and change the metrics")


def create_postgres_cluster(profile: Profile, settings: Mapping[str, str]) -> None:
    """Create PostgreSQL's data folder, if it does not exist; as the `postgres` user if this process is root."""
    folder = postgres_folder(profile)
    if (folder / "PG_VERSION").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    with tempfile.NamedTemporaryFile("w") as password:
        password.write(settings["POSTGRES_ADMIN_PASSWORD"])
        password.flush()
        command = [
            *(str(postgres_program("initdb")), "--pgdata", str(folder), "--username", ADMIN),
            *("--pwfile", password.name, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"),
        ]
        if is_root():
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            os.chown(password.name, owner.pw_uid, owner.pw_gid)
            command = ["runuser", "-u", "postgres", "--", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")


def create_database(settings: Mapping[str, str]) -> None:
    """Create the database, if it does not exist; PostgreSQL must run."""
    with psycopg.connect(postgres_url(settings), autocommit=True) as db:
        if not db.execute(FIND_DATABASE).fetchone():
            db.execute(CREATE_DATABASE)


def set_replication_slot(settings: Mapping[str, str], *, is_wanted: bool) -> None:
    """Create the slot that keeps the WAL which the backup does not have yet, or drop it; PostgreSQL must run."""
    with psycopg.connect(for_administration(settings)["DATABASE_URL"], autocommit=True) as db:
        values = {"name": REPLICATION_SLOT}
        if not is_wanted:
            db.execute(DROP_SLOT, values)
        elif not db.execute(FIND_SLOT, values).fetchone():
            db.execute(CREATE_SLOT, values)


def delete_metrics(profile: Profile) -> None:
    """Delete Prometheus's files of earlier processes, whose values would be counted again."""
    for path in profile.metrics.glob("*.db"):
        path.unlink(missing_ok=True)
