"""Settings from environment variables, read once at first use."""

import functools
import os
from typing import Self

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings; each field is read from the environment variable of the same name in upper case."""

    database_url: str = "postgresql://photogram:photogram@127.0.0.1:5432/photogram"
    valkey_url: str = "redis://127.0.0.1:6379/0"
    rabbitmq_url: str = "amqp://guest:guest@127.0.0.1:5672/%2F"
    cassandra_hosts: str = "127.0.0.1"
    cassandra_port: int = 9042
    cassandra_keyspace: str = "instagram_dm"
    cassandra_username: str = ""
    """Empty for a Cassandra that asks for no password."""
    cassandra_password: str = ""
    cassandra_tls_name: str = ""
    """The name in the certificates of all nodes; empty for a Cassandra without TLS."""
    s3_endpoint_url: str | None = None
    s3_access_key_id: str | None = None
    s3_secret_access_key: str | None = None
    s3_bucket: str = "instagram-media"
    stores_ca_file: str = ""
    """A file in PEM with the authorities whose certificates the stores may have; empty: those of the system."""
    media_base_url: str = "http://localhost:3000/media/"
    uploads_url: str = "http://localhost:3000"
    """The base of presigned URLs: the load balancer, which passes uploads on with their Host, or the store itself."""
    live_endpoint_url: str = "http://127.0.0.1:3009"
    """The management API of API Gateway, for live connections."""
    media_link_secret: str = ""
    cursor_secret: str = ""
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
    prometheus_multiproc_dir: str | None = None
    log_level: str = "INFO"

    @classmethod
    def from_environment(cls) -> Self:
        """Read the environment; raises `msgspec.ValidationError` naming a variable whose value is invalid."""
        values = {name: value for name in cls.__struct_fields__ if (value := os.environ.get(name.upper()))}
        return msgspec.convert(values, cls, strict=False)


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
