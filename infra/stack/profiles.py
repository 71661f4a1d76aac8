"""The two profiles, `run` and `test`: their state folders and ports, which they never share."""

import functools
import hashlib
import ipaddress
import os
import socket
from pathlib import Path
from typing import Literal

import msgspec

from infra.stack import options

type Name = Literal["run", "test"]

CLONE = options.CLONE
_ELSEWHERE = ("192.0.2.1", 9)
"""An address that no machine has (RFC 5737)."""
_PORT_OFFSETS = {"run": 0, "test": 1000}
_API_INSTANCES = 3
_MIN_WRITERS = 4
NGINX_USER = "www-data"
"""The user of nginx's workers, if this process is root."""
_MEMORY = Path("/dev/shm")  # noqa: S108 (the folder in it is created with the rights of its owner alone)


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Every port of a profile; all but those of nginx are private, on loopback."""

    nginx: int
    api: tuple[int, int, int]
    """nginx's listeners for the three API instances."""
    postgres: int
    valkey: int
    rabbitmq: int
    rabbitmq_nodes: int
    epmd: int
    minio: int
    cassandra: int
    cassandra_nodes: int
    live: int
    """Where functions reach live connections."""
    localstack: int


class Tls(msgspec.Struct, frozen=True):
    """The files, in PEM, with which nginx serves HTTPS."""

    certificate: Path
    """With the certificates of the authorities that are between it and a known one."""
    key: Path


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One stack: its name, its state folder, its ports and its number of HTTP hosts."""

    name: Name
    state: Path
    ports: Ports
    readers: int
    """Number of HTTP hosts for requests that read, spread evenly over the three API instances."""
    writers: int
    """Number of HTTP hosts for requests that write: they wait for disks more than they compute."""
    heavy: int
    """Number of HTTP hosts for requests with files (the first, the third, …) and for other heavy functions."""
    uploads: int
    """How many uploads nginx receives at the same time; each may take 110 MB of the disk meanwhile."""
    connections: int
    """How many requests and live connections one address may have at the same time."""
    lambdas: int | None
    """How many environments LocalStack may keep, over all functions; None: as many as fit into half of the memory."""
    log_days: int
    """After how many days a line of a log is removed."""
    address: str
    """The address on which nginx listens."""
    events: int
    """How many events of each function are recorded; 0 for none."""
    event_kilobytes: int
    """How many KiB they may take together, of each function."""
    event_days: int
    """After how many days one is removed."""
    tls: Tls | None = None
    """None: nginx serves HTTP."""
    host: str = "localhost"
    """The name in the URLs that are handed out."""

    @property
    def sockets(self) -> dict[str, list[Path]]:
        """The Unix sockets of the function hosts, which only nginx's user may reach, by kind."""
        counts = {"readers": self.readers, "writers": self.writers, "heavy": self.heavy}
        folder = self.state / "hosts"
        numbered = {
            kind: [folder / f"{kind.removesuffix('s')}-{number + 1}.sock" for number in range(count)]
            for kind, count in counts.items()
        }
        return numbered | {"live": [folder / "live.sock"]}

    @property
    def origin(self) -> str:
        """Where users reach the system."""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.ports.nginx}"

    @property
    def env_file(self) -> Path:
        """KEY=value lines: the settings of the functions, of nginx and of MinIO."""
        return self.state / "env"

    @property
    def metrics(self) -> Path:
        """The folder in which local processes share their metrics: in memory, where there is such a folder.

        They are files mapped into memory. On a full disk, writing to one would end the process with SIGBUS.
        """
        folder = _MEMORY / f"photogram-{self.name}-{_digest(self.state)}"
        return folder if os.access(_MEMORY, os.W_OK) else self.state / "metrics"

    @property
    def recordings(self) -> Path:
        """The folder of the recorded events."""
        return self.state / "events"

    @property
    def start_command(self) -> str:
        """The command that starts this stack, for messages."""
        return "make run" if self.name == "run" else "make test-stack"

    @property
    def label(self) -> str:
        """A name for this stack's processes that no other clone uses, unless PHOTOGRAM_STATE is set."""
        return f"photogram-{self.state.name}"


def profile(name: Name) -> Profile:
    """The profile, with the settings that `.env.example` describes; the test profile adds 1000 to every port.

    Raises `InvalidSetting`. A stack that serves HTTPS, which is not for development, records no events by default.
    """
    option = functools.partial(options.value, is_test=name == "test")
    number = functools.partial(options.number, is_test=name == "test")
    public = number("PHOTOGRAM_PORT") + _PORT_OFFSETS[name]
    private = number("PHOTOGRAM_STORE_PORTS") + _PORT_OFFSETS[name]
    tls = _tls(option("PHOTOGRAM_TLS_CERTIFICATE"), option("PHOTOGRAM_TLS_KEY"))
    cores = os.cpu_count() or 1
    return Profile(
        name=name,
        state=_state_parent() / f"{name}-{_digest(CLONE)}",
        ports=Ports(
            nginx=public,
            api=(public + 1, public + 2, public + 3),
            postgres=private + 432,
            valkey=private + 379,
            rabbitmq=private + 672,
            rabbitmq_nodes=private + 673,
            epmd=private + 369,
            minio=private + 900,
            cassandra=private + 42,
            cassandra_nodes=private + 700,
            live=private + 190,
            localstack=private + 566,
        ),
        readers=number("PHOTOGRAM_READERS") or max(_API_INSTANCES, cores),
        writers=number("PHOTOGRAM_WRITERS") or max(_MIN_WRITERS, cores),
        heavy=number("PHOTOGRAM_HEAVY"),
        uploads=number("PHOTOGRAM_UPLOADS"),
        connections=number("PHOTOGRAM_CONNECTIONS"),
        lambdas=number("PHOTOGRAM_LAMBDAS") or None,
        log_days=number("PHOTOGRAM_LOG_DAYS"),
        events=number("PHOTOGRAM_EVENTS") if option("PHOTOGRAM_EVENTS") else 0 if tls else 20,
        event_kilobytes=number("PHOTOGRAM_EVENTS_KB"),
        event_days=number("PHOTOGRAM_EVENTS_DAYS"),
        address=option("PHOTOGRAM_ADDRESS"),
        tls=tls,
        host=option("PHOTOGRAM_HOST") or _host(option("PHOTOGRAM_ADDRESS")),
    )


def _tls(certificate: str, key: str) -> Tls | None:
    return Tls(Path(certificate).resolve(), Path(key).resolve()) if certificate and key else None


def _host(address: str) -> str:
    """A name under which everybody who can connect to this address reaches it."""
    if ipaddress.ip_address(address).is_loopback:
        return "localhost"
    if not ipaddress.ip_address(address).is_unspecified:
        return address if ":" not in address else f"[{address}]"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)  # sends nothing, but chooses the address of the network
        except OSError:
            return "localhost"
        own: str = probe.getsockname()[0]
        return own


def cache() -> Path:
    """The folder of downloads and compiled programs, shared by all clones; PHOTOGRAM_CACHE overrides it."""
    override = options.value("PHOTOGRAM_CACHE")
    return Path(override) if override else Path.home() / ".cache" / "photogram"


@functools.cache
def is_root() -> bool:
    """Whether this process can run programs as other users (PostgreSQL refuses to run as root)."""
    return os.geteuid() == 0


def _digest(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:8]


def _state_parent() -> Path:
    """A folder outside the clone: PostgreSQL's user must reach it, and the clone may be in a private folder."""
    if override := options.value("PHOTOGRAM_STATE"):
        return Path(override)
    if is_root():
        return Path("/var/lib/photogram")
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "photogram"
