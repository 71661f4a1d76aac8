"""RabbitMQ's accounts, exchanges and queues, generated from the queues of template.yaml."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from layers.core.events import PHOTO_UPLOADED
from layers.rabbitmq.messages import WAITS_MS

PHOTOS = "photos"
"""The exchange to which MinIO publishes; it declares an exchange with the same properties itself."""
PHOTOGRAM = "photogram"
DEAD_LETTERS = "dead-letters"

_DELIVERY_LIMIT = 8
"""A message is dead-lettered after it was redelivered this often because its consumer crashed. Failures of a handler do
not count here: the queue entry point counts them, and dead-letters a message after the fourth try."""
_DEAD_DELIVERY_LIMIT = 1_000_000_000
"""Who lists dead letters takes and returns them, which counts as a redelivery. From version 4 on, RabbitMQ drops a
message after 20 of them by default; older versions understand no value for "unlimited"."""


class Rights(msgspec.Struct, frozen=True):
    """Regular expressions: the names of the queues and exchanges that an account may use."""

    configure: str
    write: str
    read: str


class Account(msgspec.Struct, frozen=True):
    """An account in RabbitMQ."""

    password: str
    rights: Rights
    is_admin: bool = False


EVERYTHING: Final = Rights(".*", ".*", ".*")
MESSAGES: Final = Rights("^$", rf"^({PHOTOGRAM}|amq\.default)$", ".*")
"""Publish, also to wait queues and dead letters, and consume; without changing queues and exchanges."""
NOTIFICATIONS: Final = Rights(f"^{PHOTOS}$", f"^{PHOTOS}$", "^$")


def definitions(queues: Iterable[str], accounts: Mapping[str, Account]) -> dict[str, Any]:
    """What RabbitMQ loads when it starts: accounts, and each queue with its wait queues and its dead-letter queue.

    The salts of passwords are derived from them, so that the same input gives the same text and RabbitMQ is not
    restarted.
    """
    names = sorted(queues)
    bindings = [
        *[_binding(PHOTOS, PHOTO_UPLOADED, PHOTO_UPLOADED) for name in names if name == PHOTO_UPLOADED],
        *[_binding(PHOTOGRAM, name, name) for name in names],
        *[_binding(DEAD_LETTERS, name, f"{name}.dead") for name in names],
    ]
    return {
        "vhosts": [{"name": "/"}],
        "users": [
            {
                "name": name,
                "password_hash": password_hash(account.password),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "administrator" if account.is_admin else "",
            }
            for name, account in accounts.items()
        ],
        "permissions": [
            {"user": name, "vhost": "/", **msgspec.to_builtins(account.rights)} for name, account in accounts.items()
        ],
        "exchanges": [_exchange(PHOTOS, "topic"), _exchange(PHOTOGRAM, "direct"), _exchange(DEAD_LETTERS, "direct")],
        "queues": [queue for name in names for queue in _queues(name)],
        "bindings": bindings,
    }


def password_hash(password: str, *, salt: bytes = b"") -> str:
    """The salted SHA-256 hash of a password (https://www.rabbitmq.com/docs/passwords); the salt has four bytes."""
    salt = salt or hashlib.sha256(b"salt" + password.encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _queues(name: str) -> list[dict[str, Any]]:
    no_loss = {"x-overflow": "reject-publish", "x-dead-letter-strategy": "at-least-once"}
    main = {
        **no_loss,
        "x-delivery-limit": _DELIVERY_LIMIT,
        "x-dead-letter-exchange": DEAD_LETTERS,
        "x-dead-letter-routing-key": name,
    }
    waits = [
        _queue(
            f"{name}.wait-{wait}",
            {**no_loss, "x-message-ttl": wait, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": name},
        )
        for wait in WAITS_MS
    ]
    return [_queue(name, main), *waits, _queue(f"{name}.dead", {"x-delivery-limit": _DEAD_DELIVERY_LIMIT})]


def _queue(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "vhost": "/",
        "durable": True,
        "auto_delete": False,
        "arguments": {"x-queue-type": "quorum", **arguments},
    }


def _exchange(name: str, kind: str) -> dict[str, Any]:
    return {
        "name": name,
        "vhost": "/",
        "type": kind,
        "durable": True,
        "auto_delete": False,
        "internal": False,
        "arguments": {},
    }


def _binding(source: str, key: str, queue: str) -> dict[str, Any]:
    return {
        "source": source,
        "vhost": "/",
        "destination": queue,
        "destination_type": "queue",
        "routing_key": key,
        "arguments": {},
    }


def dumps(queues: Iterable[str], accounts: Mapping[str, Account]) -> str:
    """The definitions as JSON."""
    return json.dumps(definitions(queues, accounts), indent=1)
