"""Messages of the `aws:rmq` event, and the headers for retries."""

import base64
from collections.abc import Mapping
from typing import Any, Final

import msgspec

ATTEMPT_HEADER: Final = "x-attempt"
OUTAGE_HEADER: Final = "x-outage"
TRACE_HEADER: Final = "x-trace-id"
ERROR_HEADER: Final = "x-error"
WITHHOLD: Final = "withholdMessages"
"""A member of an event: if it is true, what the function would publish is logged, not published. Only who invokes a
function by hand sets it; no trigger of AWS and no local host does."""
WAITS_MS: Final = (1000, 2000, 4000)
"""The delays before the second, third and fourth attempt, in milliseconds."""

MOST_OUTAGE_WAITS: Final = 3600
"""How often a message waits a second for a store that is away, before such failures count as attempts."""

_LONGEST_NUMBER: Final = 4


class QueueMessage(msgspec.Struct, frozen=True):
    """A message of an event."""

    queue: str
    body: bytes
    properties: Mapping[str, Any]
    redelivered: bool

    def header(self, name: str) -> str | None:
        """The value of a header as text, or None; AWS passes strings as lists of bytes."""
        headers = self.properties.get("headers")
        value = headers.get(name) if isinstance(headers, Mapping) else None
        if isinstance(value, Mapping) and _is_text(value.get("bytes")):
            return bytes(byte % 256 for byte in value["bytes"]).decode(errors="replace")
        return None if value is None else str(value)

    @property
    def attempt(self) -> int:
        """The number of earlier attempts: 0 at the first attempt."""
        return self._number(ATTEMPT_HEADER)

    @property
    def outage_waits(self) -> int:
        """How often the message has waited for a store that was away."""
        return self._number(OUTAGE_HEADER)

    @property
    def is_last_attempt(self) -> bool:
        """Whether the message becomes a dead letter if it fails now."""
        return self.attempt >= len(WAITS_MS)

    def _number(self, header: str) -> int:
        """A header as a number; 0 if it is missing or nonsense."""
        text = self.header(header) or "0"
        return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER else 0


def _is_text(value: object) -> bool:
    """Whether it is a string as AWS passes it; a table of the sender may have the same form."""
    return isinstance(value, list) and all(type(byte) is int for byte in value)


def read_messages(event: Mapping[str, Any]) -> list[QueueMessage]:
    """All messages of an `aws:rmq` event, in order."""
    return [
        QueueMessage(
            queue=source.split("::")[0],
            body=base64.b64decode(message["data"]),
            properties=message.get("basicProperties") or {},
            redelivered=bool(message.get("redelivered")),
        )
        for source, messages in event["rmqMessagesByQueue"].items()
        for message in messages
    ]
