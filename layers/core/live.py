"""Live events: told to who listens, in order and each once, and kept for a while for who comes back.

The connections are API Gateway's WebSocket ones: functions send over them by its management API. Each event is kept
for its users first; whoever tells one then sends what a connection has not got yet, one sender at a time, so that
nothing is overtaken. What a sender that died has taken is sent again by the next one: a client that remembers the
id of the last event drops what it knows.

Core imports no store; the one that keeps the events is named here as a port and loaded at first use.
"""

import contextlib
import functools
import importlib
import re
import time
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final, Literal, Protocol, cast
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from layers.core import media_links
from layers.core.clock import now
from layers.core.errors import Invalid, StoreUnavailable
from layers.core.logging import logger
from layers.core.models import Message, ReactionName, Shape, Time
from layers.core.settings import settings

FRAME_BYTES: Final = 32 * 1024
"""API Gateway's limit for a frame."""
_ID: Final = re.compile(r"[0-9]{1,18}-[0-9]{1,18}")
_SENDING_SECONDS: Final = 2
"""So long an answer may wait for its listeners; who was not reached is reached with the next event."""


class Event(Shape, frozen=True, kw_only=True, tag_field="type"):
    """Something that happened; `at` is when."""

    is_passing: ClassVar[bool] = False
    """Whether it is of no use later: kept for those alone who listen now."""
    id: str | UnsetType = UNSET
    """Where it stands among the user's events: they come in the order of their ids."""
    at: Time = msgspec.field(default_factory=now)


class MessageSent(Event, frozen=True, kw_only=True, tag="message"):
    """A message, one's own from another device too."""

    message: Message


class MessageRead(Event, frozen=True, kw_only=True, tag="read"):
    """Somebody has read as far as this."""

    conversation_id: UUID
    user_id: UUID
    last_read_message_id: UUID


class Typing(Event, frozen=True, kw_only=True, tag="typing"):
    """Somebody types, for 5 s from `at`."""

    is_passing: ClassVar[bool] = True
    conversation_id: UUID
    user_id: UUID


class Reacted(Event, frozen=True, kw_only=True, tag="reaction"):
    """Somebody's reaction to a message; null when it was taken back."""

    conversation_id: UUID
    message_id: UUID
    user_id: UUID
    reaction: ReactionName | None


class PostProcessed(Event, frozen=True, kw_only=True, tag="post"):
    """One's own post is published, or has failed."""

    post_id: UUID
    status: Literal["published", "failed"]


AnyEvent = MessageSent | MessageRead | Typing | Reacted | PostProcessed


class Entry(msgspec.Struct, frozen=True):
    """An event as it is kept: its JSON, empty for a mere mark."""

    id: str
    event: bytes

    @property
    def told(self) -> bytes:
        """The event's JSON with its id."""
        return b'{"id":"%b",%b' % (self.id.encode(), self.event[1:])


class Beginning(msgspec.Struct, frozen=True):
    """After which event a listener goes on."""

    id: str
    has_gap: bool
    """Whether events before it may have been missed: read anew what they told of."""


class Mailboxes(Protocol):
    """`layers.valkey.live`. Each raises `StoreUnavailable`."""

    def tell(self, event: bytes, user_ids: Sequence[UUID], *, is_passing: bool) -> list[str]:
        """Keep an event for these users, a passing one for those who listen now; the connections over which they do."""

    def opened(self, connection_id: str, *, user_id: UUID, session_id: str) -> bool:
        """A user has connected; False for one who listens over very many connections already."""

    def knows(self, connection_id: str) -> bool:
        """Whether events reach the connection, or will once it is joined."""

    def joined(self, connection_id: str, *, after: str | None) -> Beginning | None:
        """The connection gets events from here on."""

    def take(self, connection_id: str, *, sent: str | None) -> list[Entry] | None:
        """The next events of a connection."""

    def after(self, user_id: UUID, *, last: str | None) -> tuple[Beginning, list[Entry]]:
        """A user's events after the last one known."""

    def forget(self, connection_id: str) -> None:
        """The connection is gone."""


@functools.cache
def mailboxes() -> Mailboxes:
    """The events in Valkey."""
    return cast("Mailboxes", importlib.import_module("layers.valkey.live"))


def known(event_id: str | None) -> str | None:
    """The id of an event as a client gives it; raises `Invalid` for what can be none."""
    if event_id is not None and not _ID.fullmatch(event_id):
        raise Invalid.field("after", "not the id of an event")
    return event_id


def tell(user_ids: Iterable[UUID], event: Event) -> None:
    """These users learn of it at once, or when they ask. Call after what it tells of was written."""
    try:
        listening = mailboxes().tell(msgspec.json.encode(event), list(user_ids), is_passing=event.is_passing)
        ends_at = time.monotonic() + _SENDING_SECONDS
        for connection_id in listening:
            if time.monotonic() > ends_at:
                return
            deliver(connection_id)
    except StoreUnavailable:
        return  # without Valkey nobody listens, and clients look for themselves


def deliver(connection_id: str, *, sent: str | None = None) -> None:
    """Send a connection what it has not got yet, unless another does already. Raises `StoreUnavailable`.

    Who has joined it gives the id after which it begins as `sent`.
    """
    while entries := mailboxes().take(connection_id, sent=sent):
        for frame in _frames(entries):
            if not send(connection_id, frame):
                return
        sent = entries[-1].id


def send(connection_id: str, frame: bytes) -> bool:
    """Send one frame; False when the connection is gone, or API Gateway does not answer. Raises `StoreUnavailable`."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 (boto3 loads at first use)

    try:
        _gateway().post_to_connection(ConnectionId=connection_id, Data=media_links.signed(frame))
    except ClientError as error:
        if error.response["Error"]["Code"] == "GoneException":
            mailboxes().forget(connection_id)
        else:
            logger().warning("live event not sent", reason=str(error))
        return False
    except BotoCoreError as error:
        logger().warning("live event not sent", reason=str(error))
        return False
    return True


def end(connection_id: str) -> None:
    """Close a connection: its client is to connect anew."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    with contextlib.suppress(BotoCoreError, ClientError):
        _gateway().delete_connection(ConnectionId=connection_id)


def _frames(entries: Sequence[Entry]) -> Iterable[bytes]:
    """`{"events": [{"id": …, "type": …, …}, …]}`, as many in each as a frame holds once their links are signed."""
    told: list[bytes] = []
    size = 0
    for entry in entries:
        if not entry.event:
            continue
        event = entry.told
        length = len(media_links.signed(event)) + 1
        if told and size + length > FRAME_BYTES - 20:
            yield b'{"events":[%b]}' % b",".join(told)
            told, size = [], 0
        told.append(event)
        size += length
    if told:
        yield b'{"events":[%b]}' % b",".join(told)


@functools.cache
def _gateway() -> Any:
    import boto3  # noqa: PLC0415 (a tenth of a second, for who has listeners)
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client(
        "apigatewaymanagementapi",
        endpoint_url=settings().live_endpoint_url,
        config=Config(connect_timeout=0.5, read_timeout=1, retries={"total_max_attempts": 1}, max_pool_connections=2),
    )
