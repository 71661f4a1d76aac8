"""The accounts in the stores: nothing without a password, and functions may use the data alone."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
import pika
import pika.exceptions
import psycopg
import pytest
import redis
from botocore.exceptions import ClientError
from cassandra import Unauthorized
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster, NoHostAvailable
from psycopg import errors

from infra.stack import env_file
from infra.stack.env_file import FUNCTIONS
from infra.stack.profiles import profile

SETTINGS = env_file.read(profile("test"))


def without_password(name: str) -> str:
    parts = urlsplit(SETTINGS[name])
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


# ── PostgreSQL ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("user", [FUNCTIONS, "photogram", "postgres"])
def test_postgres_refuses_everybody_without_a_password(user: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(without_password("DATABASE_URL"), user=user)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "DROP TABLE users",
        "ALTER TABLE users ADD COLUMN mine int",
        "TRUNCATE users",
        "CREATE ROLE mine",
        "SELECT rolpassword FROM pg_authid",
        "SELECT pg_read_file('/etc/passwd')",
        "COPY users TO PROGRAM 'cat'",
        "ALTER SYSTEM SET log_statement = 'all'",
    ],
)
def test_functions_do_not_rule_postgres(statement: str) -> None:
    with psycopg.connect(SETTINGS["DATABASE_URL"], autocommit=True) as db, pytest.raises(errors.InsufficientPrivilege):
        db.execute(statement)


# ── Valkey ──────────────────────────────────────────────────────────────────


def test_valkey_refuses_everybody_without_a_password() -> None:
    with redis.Redis.from_url(without_password("VALKEY_URL")) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


@pytest.mark.parametrize(
    "command", ["FLUSHALL", "FLUSHDB", "KEYS *", "CONFIG GET *", "ACL LIST", "SHUTDOWN", "MONITOR"]
)
def test_functions_do_not_rule_valkey(command: str) -> None:
    with (
        redis.Redis.from_url(SETTINGS["VALKEY_URL"]) as client,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        client.execute_command(*command.split())


# ── Cassandra ───────────────────────────────────────────────────────────────


@contextlib.contextmanager
def cassandra(account: PlainTextAuthProvider | None) -> Iterator[Any]:
    cluster = Cluster(["127.0.0.1"], port=int(SETTINGS["CASSANDRA_PORT"]), protocol_version=5, auth_provider=account)
    try:
        yield cluster.connect(SETTINGS["CASSANDRA_KEYSPACE"])
    finally:
        cluster.shutdown()


@pytest.mark.parametrize(
    "account",
    [None, PlainTextAuthProvider("cassandra", "cassandra"), PlainTextAuthProvider(FUNCTIONS, "wrong")],
    ids=["nobody", "the first administrator", "a wrong password"],
)
def test_cassandra_refuses_everybody_without_a_password(account: PlainTextAuthProvider | None) -> None:
    with pytest.raises(NoHostAvailable), cassandra(account):
        pass


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int PRIMARY KEY)",
        "DROP TABLE messages",
        "ALTER TABLE messages ADD mine int",
        "CREATE ROLE mine",
        "SELECT * FROM system_auth.roles",
    ],
)
def test_functions_do_not_rule_cassandra(statement: str) -> None:
    account = PlainTextAuthProvider(FUNCTIONS, SETTINGS["CASSANDRA_PASSWORD"])
    with cassandra(account) as session, pytest.raises(Unauthorized):
        session.execute(statement)


# ── RabbitMQ ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("account", ["guest:guest", f"{FUNCTIONS}:wrong"])
def test_rabbitmq_refuses_everybody_without_a_password(account: str) -> None:
    parts = urlsplit(without_password("RABBITMQ_URL"))
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        pika.BlockingConnection(pika.URLParameters(parts._replace(netloc=f"{account}@{parts.netloc}").geturl()))


@pytest.mark.parametrize(
    "act",
    [
        lambda channel: channel.queue_declare("mine"),
        lambda channel: channel.queue_delete("post-published"),
        lambda channel: channel.exchange_declare("mine"),
        lambda channel: channel.exchange_delete("photogram"),
        lambda channel: channel.queue_bind("post-published.dead", "photogram", "post-published"),
    ],
    ids=["declare", "delete", "declare exchange", "delete exchange", "bind"],
)
@pytest.mark.parametrize("url", ["RABBITMQ_URL", "of MinIO"])
def test_neither_functions_nor_minio_rule_rabbitmq(url: str, act: Callable[[Any], object]) -> None:
    address = SETTINGS["RABBITMQ_URL"] if url == "RABBITMQ_URL" else env_file.rabbitmq_url_of_minio(SETTINGS)
    connection = pika.BlockingConnection(pika.URLParameters(address))
    try:
        with pytest.raises(pika.exceptions.ChannelClosedByBroker) as refusal:
            act(connection.channel())
        assert refusal.value.reply_code == 403
    finally:
        connection.close()


# ── MinIO ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("delete_bucket", {}),
        ("put_bucket_policy", {"Policy": "{}"}),
        ("get_bucket_policy", {}),
        ("put_bucket_lifecycle_configuration", {"LifecycleConfiguration": {"Rules": []}}),
        ("create_bucket", {"Bucket": "mine"}),
        ("list_objects_v2", {"Bucket": "other"}),
    ],
)
def test_functions_do_not_rule_minio(operation: str, arguments: dict[str, Any]) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=SETTINGS["S3_ENDPOINT_URL"],
        aws_access_key_id=SETTINGS["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=SETTINGS["S3_SECRET_ACCESS_KEY"],
    )
    with pytest.raises(ClientError) as refusal:
        getattr(client, operation)(**{"Bucket": SETTINGS["S3_BUCKET"]} | arguments)
    assert refusal.value.response["Error"]["Code"] == "AccessDenied"


# ── Files ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name", ["env", "supervisord.conf", "config/nginx.conf", "logs", "minio", "cassandra", "rabbitmq", "postgres-*"]
)
def test_files_with_secrets_or_data_are_readable_by_their_owner_alone(name: str) -> None:
    [path] = profile("test").state.glob(name)

    assert not path.stat().st_mode & 0o077
