"""Where a profile keeps its state and which ports it uses; `run` and `test` never share either."""

import functools
import hashlib
import os
from pathlib import Path
from typing import Literal

import msgspec

type Name = Literal["run", "test"]

CLONE = Path(__file__).parents[2]
_PUBLIC = 3000
_PRIVATE = 23000
_APART = {"run": 0, "test": 1000}
_FEW_CORES = 2


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Every port a profile listens on; all but the front door and the API are private, on loopback."""

    front: int
    api: tuple[int, int, int]
    postgres: int
    valkey: int
    rabbitmq: int
    rabbitmq_nodes: int
    epmd: int
    minio: int
    cassandra: int
    cassandra_nodes: int
    light: int
    """The first of the light environments' ports."""
    heavy: int
    live: int
    localstack: int


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One stack: its name, its state folder, its ports and how many environments take requests."""

    name: str
    state: Path
    ports: Ports
    light: int
    """Environments for ordinary functions, spread evenly over the three API listeners."""
    heavy: int
    address: str
    """Where the front door and the API listen."""

    @property
    def env_file(self) -> Path:
        """KEY=value lines: what the functions' environments are started with, and what nginx and MinIO share."""
        return self.state / "env"

    @property
    def label(self) -> str:
        """Names this stack's processes apart from those of other clones."""
        return f"photogram-{self.state.name}"


def profile(name: Name) -> Profile:
    """The profile as the environment has it: PHOTOGRAM_STATE (the folder of the state folders), PHOTOGRAM_PORT,
    PHOTOGRAM_STORE_PORTS (the first of the private ports), PHOTOGRAM_ADDRESS, PHOTOGRAM_LIGHT and PHOTOGRAM_HEAVY
    override what stands here. The test stack's ports are 1000 higher in any case.
    """
    front = int(os.environ.get("PHOTOGRAM_PORT") or _PUBLIC) + _APART[name]
    private = int(os.environ.get("PHOTOGRAM_STORE_PORTS") or _PRIVATE) + _APART[name]
    return Profile(
        name=name,
        state=_state(name),
        ports=Ports(
            front=front,
            api=(front + 1, front + 2, front + 3),
            postgres=private + 432,
            valkey=private + 379,
            rabbitmq=private + 672,
            rabbitmq_nodes=private + 673,
            epmd=private + 369,
            minio=private + 900,
            cassandra=private + 42,
            cassandra_nodes=private + 700,
            light=private + 100,
            heavy=private + 150,
            live=private + 190,
            localstack=private + 566,
        ),
        light=int(os.environ.get("PHOTOGRAM_LIGHT") or 3 * max(_FEW_CORES, (os.cpu_count() or _FEW_CORES) // 2)),
        heavy=int(os.environ.get("PHOTOGRAM_HEAVY") or 2),
        address=os.environ.get("PHOTOGRAM_ADDRESS") or "127.0.0.1",
    )


def cache() -> Path:
    """Where downloads and compiled programs are kept between clones."""
    given = os.environ.get("PHOTOGRAM_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "photogram"


@functools.cache
def is_root() -> bool:
    """Whether this process may act as other users (PostgreSQL refuses to run as root)."""
    return os.geteuid() == 0


def _state(name: Name) -> Path:
    """Outside the clone: PostgreSQL's own user must reach it, and a clone may lie below a closed folder."""
    clone = hashlib.sha256(str(CLONE).encode()).hexdigest()[:8]
    return _states() / f"{name}-{clone}"


def _states() -> Path:
    if given := os.environ.get("PHOTOGRAM_STATE"):
        return Path(given)
    if is_root():
        return Path("/var/lib/photogram")
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "photogram"
