"""A stack with TLS between its parts: everything works, and nothing is said without it or to a stranger."""

import os
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import msgspec
import pika
import psycopg
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from cassandra.cluster import NoHostAvailable

from infra.stack import certificates
from infra.stack.profiles import profile
from layers.cassandra import connection as cassandra
from layers.core import tls
from layers.core.settings import settings
from layers.media import connection as media
from layers.media.object_requests import Request, Requests
from layers.postgres import driver as postgres
from layers.rabbitmq import connection as rabbitmq
from layers.valkey.wire import Wire
from tests.pictures import phone_photo
from tests.support.http import Caller
from tests.support.links import rendition_url
from tests.support.own_stack import OwnStack, own_stack
from tests.support.waiting import until

PLAIN_SCHEMES: Final = {"VALKEY_URL": "redis", "RABBITMQ_URL": "amqp", "S3_ENDPOINT_URL": "http"}
REFUSALS: Final = (
    *(psycopg.OperationalError, NoHostAvailable, BotoCoreError, ClientError),
    *rabbitmq.UNAVAILABLE_ERRORS,
)


@pytest.fixture(scope="module")
def stack() -> Iterator[OwnStack]:
    with own_stack(PHOTOGRAM_STORES_TLS="yes") as stack, pytest.MonkeyPatch.context() as patch:
        stack.run("infra.stack", "up")
        for name, value in stack.settings().items():
            patch.setenv(name, value)
        yield stack


@pytest.fixture
def environment(stack: OwnStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The settings of the stack, which a test may change. PostgreSQL's URL leaves the authority to the setting."""
    url = urlsplit(os.environ["DATABASE_URL"])
    monkeypatch.setenv("DATABASE_URL", url._replace(query="sslmode=verify-full").geturl())
    forget()
    yield monkeypatch
    monkeypatch.undo()
    forget()


def forget() -> None:
    settings.cache_clear()
    media.close()


# ── Clients of the stores, each as the functions connect ────────────────────


def use_postgres() -> None:
    postgres.connect(settings().database_url, answer_seconds=2).close()


def use_valkey() -> None:
    Wire(settings().valkey_url, connect_seconds=2, answer_seconds=2).close()


def use_rabbitmq() -> None:
    pika.BlockingConnection(rabbitmq.parameters()).close()


def use_cassandra() -> None:
    cassandra.connect(settings().cassandra_keyspace).cluster.shutdown()


def list_objects() -> None:
    media._client().list_objects_v2(Bucket=settings().s3_bucket, MaxKeys=1)


def get_object() -> None:
    with Requests() as requests:
        requests.send(Request("GET", "nothing"))
        [(request, answer)] = requests.read_answers()
    if answer.code != "NoSuchKey":
        raise answer.error(request)


each_client = pytest.mark.parametrize(
    "use", [use_postgres, use_valkey, use_rabbitmq, use_cassandra, list_objects, get_object]
)


@each_client
@pytest.mark.usefixtures("environment")
def test_functions_reach_every_store(use: Callable[[], None]) -> None:
    use()


@each_client
def test_every_store_refuses_connections_without_tls(environment: pytest.MonkeyPatch, use: Callable[[], None]) -> None:
    environment.setenv("DATABASE_URL", settings().database_url.replace("verify-full", "disable"))
    environment.setenv("CASSANDRA_TLS_NAME", "")
    for name, scheme in PLAIN_SCHEMES.items():
        url = urlsplit(getattr(settings(), name.lower()))
        environment.setenv(name, url._replace(scheme=scheme).geturl())
    forget()

    with pytest.raises(REFUSALS):
        use()


@each_client
def test_a_client_with_another_authority_refuses_every_store(
    environment: pytest.MonkeyPatch, use: Callable[[], None], tmp_path: Path
) -> None:
    other = msgspec.structs.replace(profile("test"), state=tmp_path)
    certificates.provide(other)
    environment.setenv("STORES_CA_FILE", str(certificates.folder(other) / certificates.AUTHORITY))
    forget()

    with pytest.raises(REFUSALS) as refusal:
        use()
    assert "certificate verify failed" in repr(refusal.value).lower()


# ── The whole stack ─────────────────────────────────────────────────────────


def test_photos_and_messages_take_their_way(stack: OwnStack) -> None:
    ada, grace = Caller("ada"), Caller("grace")
    grace.follow(ada)

    # The sweeper takes posts of 20 s, so MinIO has notified RabbitMQ.
    post_id = ada.upload(phone_photo(width=800, height=600))["post_id"]
    post = until(lambda: grace.in_feed(post_id), seconds=15)
    assert httpx.get(rendition_url(post["media"][0], 640, "jpg")).headers["content-type"] == "image/jpeg"

    sent = phone_photo(width=400, height=300)
    asked = ada.http.post("/posts/uploads", json={"files": [{"size": len(sent), "type": "image/jpeg"}]})
    [upload] = asked.raise_for_status().json()["uploads"]
    httpx.put(upload["url"], content=sent, headers=upload["headers"]).raise_for_status()
    ada.http.post("/posts", json={"uploads": [upload["id"]]}).raise_for_status()

    opened = ada.http.post("/messages/conversations", json={"recipientId": grace.id})
    talk = f"/messages/conversations/{opened.json()['conversationId']}"
    ada.http.post(talk, json={"content": "Hello"}).raise_for_status()
    assert [each["content"] for each in grace.http.get(talk).json()["messages"]] == ["Hello"]

    health = ada.http.get(f"{stack.profile.origin}/api/health/detailed").json()
    assert {name: each["status"] for name, each in health["components"].items() if each["status"] != "ok"} == {}


def test_it_is_backed_up_and_its_commands_work(stack: OwnStack) -> None:
    assert "Made" in stack.run("infra.backup", "base")
    assert "No file is missing" in stack.run("infra.backup", "check")
    assert "All started programs answer" in stack.run("infra.stack", "status")


def test_cassandra_takes_no_other_node(stack: OwnStack) -> None:
    connection = socket.create_connection(("127.0.0.1", stack.profile.ports.cassandra_nodes), 5)
    ca_file = stack.settings()["STORES_CA_FILE"]

    with (
        tls.secure(connection, name="127.0.0.1", ca_file=ca_file) as secured,
        pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"),
    ):
        secured.recv(1)
