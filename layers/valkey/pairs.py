"""Which of several requests at the same time has created a conversation of two: `opening:{conversation}`."""

from typing import Final
from uuid import UUID

from layers.core.errors import StoreUnavailable
from layers.valkey.connection import Script

_SECONDS: Final = 60
"""Longer than a request can take (30 s, R-D2); then the conversation is read from Cassandra."""

CLAIM: Final = Script("deadlines", "pair_claim")


def claim(conversation_id: UUID, token: bytes) -> bool | None:
    """Whether this request is the first one to create the conversation; None without Valkey.

    `token` identifies the request.
    """
    try:
        return bool(CLAIM(conversation_id.bytes, token, _SECONDS))
    except StoreUnavailable:
        return None
