"""Live events and who listens to them: the port that core's `live` names `Mailboxes`.

`live:{user}` is a stream of a user's events, for an hour after the last one; `connection:{id}` a hash of who listens
over a connection and how far it has come; `connections:{user}` the joined ones by when they end. A connection whose
session has ended gets nothing more.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from layers.core.limits import LIVE_CONNECTIONS
from layers.core.live import Beginning, Entry
from layers.valkey.connection import Script

_KEPT: Final = 1000
_SECONDS: Final = 60 * 60
_LASTS: Final = 2 * 60 * 60
"""API Gateway ends a connection after two hours."""
_SENDING_MS: Final = 5000
_AT_ONCE: Final = 100

TELL: Final = Script("live_tell")


def tell(event: bytes, user_ids: Sequence[UUID], *, is_passing: bool) -> list[str]:
    """Keep an event for these users, a passing one for those who listen now; the connections over which they do."""
    people = b"".join(user_id.bytes for user_id in user_ids)
    listening = TELL(event, _KEPT, _SECONDS, people, int(is_passing))
    return [connection_id.decode() for connection_id in listening]


OPEN: Final = Script("live_open")


def opened(connection_id: str, *, user_id: UUID, session_id: str) -> bool:
    """A user has connected; False for one who listens over very many connections already."""
    return bool(OPEN(connection_id, user_id.bytes, session_id, _LASTS, LIVE_CONNECTIONS))


KNOWS: Final = Script("live_knows")


def knows(connection_id: str) -> bool:
    """Whether events reach the connection, or will once it is joined."""
    return bool(KNOWS(connection_id))


JOIN: Final = Script("live_join")


def joined(connection_id: str, *, after: str | None) -> Beginning | None:
    """The connection gets events from here on, the first ones from who calls this; None for one that is not open."""
    found = JOIN(connection_id, after or "", _SECONDS, _SENDING_MS)
    return Beginning(found[0].decode(), has_gap=found[1] == 1) if found else None


TAKE: Final = Script("live_take")


def take(connection_id: str, *, sent: str | None) -> list[Entry] | None:
    """The next events of a connection; `sent` is the last of those taken before. None if it is gone."""
    found = TAKE(connection_id, sent or "", _SENDING_MS, _AT_ONCE)
    return None if found is None else _entries(found)


FORGET: Final = Script("live_forget")


def forget(connection_id: str) -> None:
    """The connection is gone."""
    FORGET(connection_id)


AFTER: Final = Script("live_after")


def after(user_id: UUID, *, last: str | None) -> tuple[Beginning, list[Entry]]:
    """The user's events after the last one known."""
    begins, missed, *found = AFTER(user_id.bytes, last or "", _AT_ONCE, _SECONDS)
    return Beginning(begins.decode(), has_gap=missed == 1), _entries(found)


def _entries(found: Sequence[bytes]) -> list[Entry]:
    return [Entry(id_.decode(), event) for id_, event in zip(found[::2], found[1::2], strict=True)]
