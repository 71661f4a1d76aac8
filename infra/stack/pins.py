"""The versions of what is not a package of Debian or Python, and where each lies in the cache."""

from pathlib import Path

from infra.stack.profiles import cache

MINIO = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"
TOXIPROXY = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0"
CASSANDRA = "5.0.8"


def minio() -> Path:
    """The compiled MinIO; its name carries the pinned commit, so that another pin is another file."""
    return cache() / "bin" / f"minio-{MINIO.rpartition('-')[2]}"


def toxiproxy() -> Path:
    """The proxy that breaks connections on purpose, for tests."""
    return cache() / "bin" / f"toxiproxy-{TOXIPROXY.rpartition('@')[2]}"


def cassandra() -> Path:
    """The folder of Cassandra's jars."""
    return cache() / f"cassandra-{CASSANDRA}"
