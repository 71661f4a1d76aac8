"""Whether the ports of a profile are free, and which process listens on those that are not."""

import errno
import socket

import psutil

from infra.stack.profiles import Profile


class Taken(Exception):
    """Another process listens on a port of the stack."""


def by_program(profile: Profile) -> dict[str, list[int]]:
    """The ports of each program."""
    ports = profile.ports
    return {
        "postgres": [ports.postgres],
        "valkey": [ports.valkey],
        "epmd": [ports.epmd],
        "rabbitmq": [ports.rabbitmq, ports.rabbitmq_nodes],
        "minio": [ports.minio],
        "cassandra": [ports.cassandra, ports.cassandra_nodes],
        "nginx": [ports.nginx, *ports.api],
        "api": [ports.live],
        "localstack": [ports.localstack],
    }


def refuse_taken(ports: list[int], *, address: str = "127.0.0.1") -> None:
    """Raise `Taken` if another process listens on one of the ports, with the name of each such process."""
    taken = [f"port {port} is taken by {owner(port)}" for port in ports if not _is_free(address, port)]
    if taken:
        raise Taken(
            "; ".join(taken) + ". Stop that process, or choose other ports: PHOTOGRAM_PORT sets the first of the four "
            "public ports, PHOTOGRAM_STORE_PORTS the first of the private ports."
        )


def owner(port: int) -> str:
    """The process that listens on a port, as far as this user may see it."""
    try:
        pids = {
            each.pid for each in psutil.net_connections("tcp") if each.laddr and each.laddr.port == port and each.pid
        }
        processes = [f"{psutil.Process(pid).name()} (pid {pid})" for pid in sorted(pids)]
    except psutil.Error:
        processes = []
    return ", ".join(processes) or "a process of another user"


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: ignore closed connections
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
    return True
