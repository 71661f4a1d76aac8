"""The functions' accounts in the stores: each may read and write the data, and nothing else.

RabbitMQ's accounts are in its definitions, Valkey's in its configuration.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import psycopg
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster, NoHostAvailable
from minio import MinioAdmin
from minio.credentials.providers import StaticProvider
from psycopg import sql
from urllib3 import PoolManager, Retry

from infra.migrate import CREATE_KEYSPACE
from infra.stack.env_file import ADMIN, FUNCTIONS, for_administration, stores_ca_file
from layers.cassandra.connection import tls_options

if TYPE_CHECKING:
    from cassandra.cluster import Session

_POLICY: Final = "functions"
_FIRST_ADMIN: Final = "cassandra"
"""The administrator of a new Cassandra, whose password is the same word."""
_ROLES_SECONDS: Final = 30
_PAUSE_SECONDS: Final = 0.2
_MINIO_SECONDS: Final = 30

FIND_ROLE: Final = "SELECT 1 FROM pg_roles WHERE rolname = %s"
CREATE_ROLE: Final = "CREATE ROLE {role} LOGIN"
CHANGE_ROLE: Final = "ALTER ROLE {role} PASSWORD {password}"
GRANTS: Final = (
    "GRANT USAGE ON SCHEMA public TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO {role}",
)

CREATE_CASSANDRA_ADMIN: Final = (
    "CREATE ROLE IF NOT EXISTS {role} WITH SUPERUSER = true AND LOGIN = true AND PASSWORD = '{password}'"
)
DROP_FIRST_ADMIN: Final = f"DROP ROLE IF EXISTS {_FIRST_ADMIN}"
CREATE_CASSANDRA_ROLE: Final = "CREATE ROLE IF NOT EXISTS {role} WITH LOGIN = true"
CHANGE_CASSANDRA_ROLE: Final = "ALTER ROLE {role} WITH PASSWORD = '{password}'"
CASSANDRA_GRANTS: Final = (
    "GRANT SELECT ON KEYSPACE {keyspace} TO {role}",
    "GRANT MODIFY ON KEYSPACE {keyspace} TO {role}",
)


def create_in_postgres(settings: Mapping[str, str]) -> None:
    """Create the account, also with rights for tables that migrations create later."""
    password = settings["POSTGRES_PASSWORD"]
    with psycopg.connect(for_administration(settings)["DATABASE_URL"]) as db:
        names = {"role": sql.Identifier(FUNCTIONS), "password": sql.Literal(password)}
        if not db.execute(FIND_ROLE, [FUNCTIONS]).fetchone():
            db.execute(sql.SQL(CREATE_ROLE).format(**names))
        for statement in (CHANGE_ROLE, *GRANTS):
            db.execute(sql.SQL(statement).format(**names))


def create_in_cassandra(settings: Mapping[str, str]) -> None:
    """Create the account, the keyspace that it may use, and before both the administrator.

    Raises `NoHostAvailable` if neither the administrator nor that of a new Cassandra can sign in.
    """
    keyspace = settings["CASSANDRA_KEYSPACE"]
    names = {"role": FUNCTIONS, "password": settings["CASSANDRA_PASSWORD"], "keyspace": keyspace}
    _create_cassandra_admin(settings)
    with _cassandra(settings, ADMIN, settings["CASSANDRA_ADMIN_PASSWORD"]) as session:
        session.execute(DROP_FIRST_ADMIN)
        session.execute(CREATE_KEYSPACE.format(keyspace=keyspace))
        for statement in (CREATE_CASSANDRA_ROLE, CHANGE_CASSANDRA_ROLE, *CASSANDRA_GRANTS):
            session.execute(statement.format(**names))


def _create_cassandra_admin(settings: Mapping[str, str]) -> None:
    password, ends_at = settings["CASSANDRA_ADMIN_PASSWORD"], time.monotonic() + _ROLES_SECONDS
    while True:
        with contextlib.suppress(NoHostAvailable), _cassandra(settings, ADMIN, password):
            return
        try:
            with _cassandra(settings, _FIRST_ADMIN, _FIRST_ADMIN) as session:
                session.execute(CREATE_CASSANDRA_ADMIN.format(role=ADMIN, password=password))
        except NoHostAvailable:
            if time.monotonic() > ends_at:
                raise
            time.sleep(_PAUSE_SECONDS)  # a new Cassandra answers before it has created its administrator


@contextlib.contextmanager
def _cassandra(settings: Mapping[str, str], user: str, password: str) -> "Iterator[Session]":
    cluster = Cluster(
        ["127.0.0.1"],
        port=int(settings["CASSANDRA_PORT"]),
        protocol_version=5,
        auth_provider=PlainTextAuthProvider(user, password),
        **tls_options(settings["CASSANDRA_TLS_NAME"], ca_file=stores_ca_file(settings)),
        schema_metadata_enabled=False,
        token_metadata_enabled=False,
    )
    try:
        yield cluster.connect()
    finally:
        cluster.shutdown()


def create_in_minio(settings: Mapping[str, str]) -> None:
    """Create the account, which may use the objects of the bucket. Raises `MinioAdminException`."""
    bucket = f"arn:aws:s3:::{settings['S3_BUCKET']}"
    objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    admin = MinioAdmin(
        endpoint=urlsplit(settings["S3_ENDPOINT_URL"]).netloc,
        credentials=StaticProvider(ADMIN, settings["MINIO_ADMIN_PASSWORD"]),
        secure=urlsplit(settings["S3_ENDPOINT_URL"]).scheme == "https",
        http_client=PoolManager(
            timeout=_MINIO_SECONDS,
            retries=Retry(5, backoff_factor=0.2, status_forcelist=[503]),
            ca_certs=stores_ca_file(settings) or None,
        ),
    )
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": objects, "Resource": [f"{bucket}/*"]},
            {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [bucket]},
        ],
    }
    admin.policy_add(_POLICY, policy=policy)
    admin.user_add(FUNCTIONS, settings["S3_SECRET_ACCESS_KEY"])
    admin.policy_set(_POLICY, user=FUNCTIONS)
