"""Whether the ports of a profile are free, and who has those that are not."""

import errno
import socket

import psutil

from infra.stack.profiles import Profile


class Taken(Exception):
    """A port belongs to somebody else."""


def wanted(profile: Profile) -> dict[str, list[int]]:
    """Each part's ports."""
    ports = profile.ports
    return {
        "postgres": [ports.postgres],
        "valkey": [ports.valkey],
        "epmd": [ports.epmd],
        "rabbitmq": [ports.rabbitmq, ports.rabbitmq_nodes],
        "minio": [ports.minio],
        "cassandra": [ports.cassandra, ports.cassandra_nodes],
        "nginx": [ports.front, *ports.api],
        "light": [ports.light + number for number in range(profile.light)],
        "live": [ports.live],
        "localstack": [ports.localstack],
        "heavy": [ports.heavy + number for number in range(profile.heavy)],
    }


def refuse_taken(ports: list[int], *, address: str = "127.0.0.1") -> None:
    """Raises `Taken`, naming each port that somebody listens on and who that is."""
    taken = [f"port {port} is taken by {owner(port)}" for port in ports if not _is_free(address, port)]
    if taken:
        raise Taken(
            "; ".join(taken) + ". Stop it, or choose other ports: PHOTOGRAM_PORT (front door and the three after it), "
            "PHOTOGRAM_STORE_PORTS (where the private ones begin)."
        )


def owner(port: int) -> str:
    """The process that listens on a port, as far as this user may know."""
    try:
        pids = {
            each.pid for each in psutil.net_connections("tcp") if each.laddr and each.laddr.port == port and each.pid
        }
        named = [f"{psutil.Process(pid).name()} (pid {pid})" for pid in sorted(pids)]
    except psutil.Error:
        named = []
    return ", ".join(named) or "a process of another user"


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: closed connections do not count
        try:
            tried.bind((address, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
    return True
