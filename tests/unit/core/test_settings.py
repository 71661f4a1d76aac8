"""Settings: what a process refuses, and where secrets come from."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest

from layers.core import secrets_manager
from layers.core.errors import StoreUnavailable
from layers.core.settings import SECRETS, SIGNING_KEYS, settings

ARN = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:photogram/database-AbCdEf"
each_signing_key = pytest.mark.parametrize("name", SIGNING_KEYS)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """No secret is set, and settings and secrets are read again."""
    for name in SECRETS:
        monkeypatch.delenv(name.upper(), raising=False)
    _forget()
    yield monkeypatch
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    settings.cache_clear()
    secrets_manager.read.cache_clear()
    secrets_manager._provider.cache_clear()


@each_signing_key
def test_nothing_is_signed_without_a_key(name: str, environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(msgspec.ValidationError, match=f"{name.upper()} must have at least 32 characters"):
        getattr(settings(), name)


@each_signing_key
def test_a_process_refuses_a_short_key(name: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv(name.upper(), "k" * 31)
    with pytest.raises(msgspec.ValidationError, match=f"{name.upper()} must have at least 32 characters"):
        settings()

    environment.setenv(name.upper(), "k" * 32)
    assert getattr(settings(), name) == "k" * 32


class SecretsManager(BaseHTTPRequestHandler):
    """A server with the interface of AWS Secrets Manager, which knows the secrets of its server by ARN."""

    server: "Server"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert self.headers["x-amz-target"] == "secretsmanager.GetSecretValue"
        self.server.asked.append(asked["SecretId"])
        text = self.server.secrets.get(asked["SecretId"])
        answer = {"SecretString": text} if text else {"__type": "ResourceNotFoundException"}
        content = json.dumps(answer).encode()
        self.send_response(200 if text else 400)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Server(ThreadingHTTPServer):
    """It and the ARNs that it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), SecretsManager)
        self.secrets: dict[str, str] = {}
        self.asked: list[str] = []


@pytest.fixture
def manager(environment: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server, and an environment as Lambda's that leads to it."""
    with Server() as server:
        environment.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://127.0.0.1:{server.server_port}")
        environment.setenv("AWS_REGION", "eu-central-1")
        environment.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        environment.setenv("AWS_ACCESS_KEY_ID", "access")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_with_an_arn_is_read_once_and_at_first_use(
    name: str, manager: Server, environment: pytest.MonkeyPatch
) -> None:
    manager.secrets[ARN] = "text of the secret, with 32 characters"
    environment.setenv(f"{name.upper()}_ARN", ARN)
    environment.setenv(name.upper(), "not this one, though it has 32 characters")
    assert settings().log_level
    assert manager.asked == []

    assert [getattr(settings(), name) for _ in range(2)] == ["text of the secret, with 32 characters"] * 2
    settings.cache_clear()
    assert getattr(settings(), name) == "text of the secret, with 32 characters"
    assert manager.asked == [ARN]


@each_signing_key
def test_a_short_key_in_secrets_manager_is_refused(name: str, manager: Server, environment: pytest.MonkeyPatch) -> None:
    manager.secrets[ARN] = "k" * 31
    environment.setenv(f"{name.upper()}_ARN", ARN)

    with pytest.raises(msgspec.ValidationError, match="at least 32"):
        getattr(settings(), name)


def test_a_secret_that_cannot_be_read_is_an_outage_and_is_asked_for_again(
    manager: Server, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("DATABASE_URL_ARN", ARN)
    with pytest.raises(StoreUnavailable):
        _ = settings().database_url

    manager.secrets[ARN] = "postgresql://somewhere"
    assert settings().database_url == "postgresql://somewhere"
