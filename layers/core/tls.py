"""TLS to the stores: every connection checks that the certificate is valid, trusted, and for the right name."""

import functools
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


@functools.lru_cache(maxsize=4)
def context(ca_file: str) -> "ssl.SSLContext":
    """What connections to stores trust: the authorities in `ca_file` (STORES_CA_FILE); if it is empty, the system's.

    Raises `OSError` if the file cannot be read.
    """
    import ssl  # noqa: PLC0415 (takes 5 ms, and few stores are behind TLS)

    return ssl.create_default_context(cafile=ca_file or None)


def secure(connection: socket.socket, *, name: str, ca_file: str) -> "ssl.SSLSocket":
    """TLS on a connection, to a server whose certificate must be for `name`, a host name or an IP address.

    The timeout of the connection bounds the handshake; the connection is closed if that fails. Raises `OSError`.
    """
    with connection:  # closed unless it is handed over, which leaves it without a descriptor
        return context(ca_file).wrap_socket(connection, server_hostname=name)
