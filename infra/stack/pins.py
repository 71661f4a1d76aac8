"""The versions of programs that are neither Debian nor Python packages, and their paths in the cache."""

from pathlib import Path

from infra.stack.profiles import cache

MINIO = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"
TOXIPROXY = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0"
CASSANDRA = "5.0.8"
SWAGGER_UI = "swagger-ui-dist@5.35.0"
SWAGGER_UI_SHA512 = "U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0wCDNsXdGarTNNHC3sU8yVUQ=="
"""Of the package's archive, in base64, as npm's registry states it."""
SWAGGER_UI_FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-bundle.js.LICENSE.txt", "LICENSE", "NOTICE")
PICTURES = {
    "https://files.pythonhosted.org/packages/ce/a4/"
    "9cc30690a394a8305e8be4c9036aa16d0dfddadd09079860b582f562496d/pillow-13.0.0.tar.gz": (
        "cdcd1ba258178f7356d74170c9a81ba4eab6a5d55748bc402a5a2a6fe6be3510"
    ),
    "https://files.pythonhosted.org/packages/44/c1/"
    "82145984920ca055675af2c2795bd30da6f7461215c41f3c1eacb3d66353/pillow_heif-1.8.1.tar.gz": (
        "521ebffb8a181d56c3904e5a61f20903edee0d9d3275967b8fb345f866215c06"
    ),
}
"""Source packages with damaged and strange pictures for tests, and their SHA-256."""


def minio() -> Path:
    """The compiled MinIO; the file name contains the pinned commit."""
    return cache() / "bin" / f"minio-{MINIO.rpartition('-')[2]}"


def toxiproxy() -> Path:
    """The compiled toxiproxy, which tests use to interrupt connections; the file name contains the version."""
    return cache() / "bin" / f"toxiproxy-{TOXIPROXY.rpartition('@')[2]}"


def cassandra() -> Path:
    """The folder of Cassandra's jar files."""
    return cache() / f"cassandra-{CASSANDRA}"


def pictures() -> Path:
    """The folder of damaged and strange pictures, for tests."""
    return cache() / f"pictures-{'-'.join(digest[:6] for digest in PICTURES.values())}"


def swagger_ui() -> Path:
    """The folder of Swagger UI, which shows the API's description."""
    return cache() / SWAGGER_UI.replace("@", "-")
