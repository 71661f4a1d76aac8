"""Settings from environment variables, read once at first use."""

import functools
import os
from typing import Final, Self

import msgspec

from layers.core import secrets_manager

SECRETS: Final = {
    "database_url": "postgresql://photogram:photogram@127.0.0.1:5432/photogram",
    "valkey_url": "redis://127.0.0.1:6379/0",
    "rabbitmq_url": "amqp://guest:guest@127.0.0.1:5672/%2F",
    "cassandra_password": "",
    "media_link_secret": "",
    "cursor_secret": "",
}
"""The secrets among the settings, with their defaults."""

SIGNING_KEYS: Final = ("media_link_secret", "cursor_secret")
SIGNING_KEY_CHARACTERS: Final = 32
"""A shorter key could be guessed, and then links and cursors could be forged."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """All settings; each field is read from the environment variable of the same name in upper case.

    So is each secret, which is a property. If there is a variable with its name and `_ARN`, the secret is in AWS
    Secrets Manager under that ARN, and is read from there at first use; this may raise `StoreUnavailable`.
    """

    cassandra_hosts: str = "127.0.0.1"
    cassandra_port: int = 9042
    cassandra_keyspace: str = "instagram_dm"
    cassandra_username: str = ""
    """Empty for a Cassandra that asks for no password."""
    cassandra_tls_name: str = ""
    """The name in the certificates of all nodes; empty for a Cassandra without TLS."""
    s3_endpoint_url: str | None = None
    s3_access_key_id: str | None = None
    s3_secret_access_key: str | None = None
    """Without these two, the credentials of the function's role."""
    s3_region: str = "us-east-1"
    s3_bucket: str = "instagram-media"
    stores_ca_file: str = ""
    """A file in PEM with the authorities whose certificates the stores may have; empty: those of the system."""
    media_base_url: str = "http://localhost:3000/media/"
    uploads_url: str = "http://localhost:3000"
    """The base of presigned URLs: the load balancer, which passes uploads on with their Host, or the store itself."""
    live_endpoint_url: str = "http://127.0.0.1:3009"
    """The management API of API Gateway, for live connections."""
    allowed_origins: str = "http://localhost:5173,http://127.0.0.1:5173"
    own_origins: str = "http://localhost:3000,http://127.0.0.1:3000"
    secure_cookies: bool = False
    rate_limits: str = "{}"
    """A JSON object that overrides rate limits: action to [requests, window in seconds]."""
    session_absolute_days: int = 30
    message_retention_days: int = 365
    """A direct message is removed after this time."""
    audit_retention_days: int = 365
    """An entry of the audit trail is removed after this time."""
    deleted_post_retention_days: int = 30
    """The rows of a deleted post are removed after this time."""
    star_followers: int = 50_000
    """The posts of authors with this many followers or more are merged at read instead of fanned out."""
    metrics_namespace: str = ""
    """On Lambda, functions write metrics for this namespace of CloudWatch to the log; empty: none."""
    prometheus_multiproc_dir: str | None = None
    log_level: str = "INFO"

    @classmethod
    def from_environment(cls) -> Self:
        """Read the environment; raises `msgspec.ValidationError` naming a variable whose value is invalid."""
        values = {name: value for name in cls.__struct_fields__ if (value := os.environ.get(name.upper()))}
        for name in SIGNING_KEYS:
            if key := os.environ.get(name.upper()):
                _check_signing_key(name, key)
        return msgspec.convert(values, cls, strict=False)

    @property
    def s3_url(self) -> str:
        """Where the object store answers."""
        return self.s3_endpoint_url or f"https://s3.{self.s3_region}.amazonaws.com"

    @functools.cached_property
    def database_url(self) -> str:
        """PostgreSQL."""
        return _secret("database_url")

    @functools.cached_property
    def valkey_url(self) -> str:
        """Valkey."""
        return _secret("valkey_url")

    @functools.cached_property
    def rabbitmq_url(self) -> str:
        """RabbitMQ."""
        return _secret("rabbitmq_url")

    @functools.cached_property
    def cassandra_password(self) -> str:
        """Of the account in Cassandra."""
        return _secret("cassandra_password")

    @functools.cached_property
    def media_link_secret(self) -> str:
        """Signs media URLs. Raises `msgspec.ValidationError` if there is none, or if it is too short."""
        return _check_signing_key("media_link_secret", _secret("media_link_secret"))

    @functools.cached_property
    def cursor_secret(self) -> str:
        """Signs cursors. Raises `msgspec.ValidationError` if there is none, or if it is too short."""
        return _check_signing_key("cursor_secret", _secret("cursor_secret"))


def _secret(name: str) -> str:
    if arn := os.environ.get(f"{name.upper()}_ARN"):
        return secrets_manager.read(arn)
    return os.environ.get(name.upper()) or SECRETS[name]


def _check_signing_key(name: str, key: str) -> str:
    if len(key) < SIGNING_KEY_CHARACTERS:
        raise msgspec.ValidationError(f"{name.upper()} must have at least {SIGNING_KEY_CHARACTERS} characters")
    return key


@functools.cache
def settings() -> Settings:
    """The settings of this process; after `settings.cache_clear()` the next call reads them again."""
    return Settings.from_environment()


def bare_environment() -> dict[str, str]:
    """What a program needs to start: the environment variables of this process without settings and their passwords."""
    names = ("PATH", "LD_LIBRARY_PATH", "LANG", "MALLOC_ARENA_MAX")
    return {name: os.environ[name] for name in names if name in os.environ}


def runs_in_lambda() -> bool:
    """Whether AWS Lambda or LocalStack runs this process."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ


def shares_metrics() -> bool:
    """Whether local processes share their metrics: prometheus_client reads this when it is imported."""
    return "PROMETHEUS_MULTIPROC_DIR" in os.environ
