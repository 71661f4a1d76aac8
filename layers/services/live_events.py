"""Live events (R-E1 to R-E8): sent to connected clients in order, and stored for an hour for clients that reconnect.

Connections are WebSocket connections of API Gateway, and functions send over them with its management API. Each event
is stored for its users first. Then the process that stored it sends every connection the events that it has not
received yet. One process at a time sends over a connection, so events arrive in order. If a process fails while
sending, the next one sends its events again; clients ignore events whose id is not higher than the last id that they
received (docs/decisions/0026-live-events-are-drained.md).
"""

import contextlib
import functools
import re
import time
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from layers.core import media_links
from layers.core.clock import now
from layers.core.errors import Invalid, StoreUnavailable
from layers.core.logging import logger
from layers.core.models import Message, ReactionName, Shape, Time
from layers.core.settings import settings
from layers.valkey import live_events as streams
from layers.valkey.connection import Call
from layers.valkey.live_events import StoredEvent

FRAME_BYTES: Final = 32 * 1024
"""The limit of API Gateway for a frame."""
_FRAME_ENVELOPE_BYTES: Final = 20
_ID: Final = re.compile(r"[0-9]{1,18}-[0-9]{1,18}")
_SENDING_SECONDS: Final = 2
"""An answer waits at most this long for sending. Connections that were not reached get the event with the next one."""


class LiveEvent(Shape, frozen=True, kw_only=True, tag_field="type"):
    """An event; `at` is the time when it happened."""

    is_transient: ClassVar[bool] = False
    """A transient event is of no use later: it is stored only for users who are connected."""
    id: str | UnsetType = UNSET
    """The position in the stream of the user: events are sent in the order of their ids."""
    at: Time = msgspec.field(default_factory=now)


class MessageSent(LiveEvent, frozen=True, kw_only=True, tag="message"):
    """A new message; it is also sent to the other devices of the sender."""

    message: Message


class MessageRead(LiveEvent, frozen=True, kw_only=True, tag="read"):
    """A participant has read up to this message."""

    conversation_id: UUID
    user_id: UUID
    last_read_message_id: UUID


class Typing(LiveEvent, frozen=True, kw_only=True, tag="typing"):
    """A participant is typing, for 5 s from `at`."""

    is_transient: ClassVar[bool] = True
    conversation_id: UUID
    user_id: UUID


class Reacted(LiveEvent, frozen=True, kw_only=True, tag="reaction"):
    """A participant has changed the reaction to a message; `reaction` is null if it was removed."""

    conversation_id: UUID
    message_id: UUID
    user_id: UUID
    reaction: ReactionName | None


class PostProcessed(LiveEvent, frozen=True, kw_only=True, tag="post"):
    """A post of the user was published, or has failed."""

    post_id: UUID
    status: Literal["published", "failed"]


AnyEvent = MessageSent | MessageRead | Typing | Reacted | PostProcessed


def parse_event_id(event_id: str | None) -> str | None:
    """Check the id of an event that a client sent; raises `Invalid` for a malformed one."""
    if event_id is not None and not _ID.fullmatch(event_id):
        raise Invalid.field("after", "must be the id of an event")
    return event_id


def publish(user_ids: Iterable[UUID], event: LiveEvent) -> None:
    """Store an event for these users and send it over their connections. Call it after the commit.

    Without Valkey the event is lost (R-E8).
    """
    try:
        connections = streams.append(msgspec.json.encode(event), list(user_ids), is_transient=event.is_transient)
    except StoreUnavailable:
        return
    _send_to(connections)


def publication(user_ids: Sequence[UUID], event: LiveEvent) -> Call:
    """The call to Valkey that stores an event for these users; `send_published` sends it when the call was made."""
    return streams.append_call(msgspec.json.encode(event), user_ids, is_transient=event.is_transient)


def send_published(reply: Sequence[bytes]) -> None:
    """Send an event over the connections of its users; `reply` is that to the call of `publication`."""
    _send_to(streams.connections_in(reply))


def _send_to(connections: Sequence[str]) -> None:
    ends_at = time.monotonic() + _SENDING_SECONDS
    with contextlib.suppress(StoreUnavailable):
        for connection_id in connections:
            if time.monotonic() > ends_at:
                return
            send_pending(connection_id)


def send_pending(connection_id: str, *, sent: str | None = None) -> None:
    """Send the events that a connection has not received yet, unless another process is sending them.

    The process that has joined a connection passes the id after which events begin as `sent`. Raises
    `StoreUnavailable`.
    """
    while events := streams.take(connection_id, sent=sent):
        for frame in _frames(events):
            if not send_frame(connection_id, frame):
                return
        sent = events[-1].id


def send_frame(connection_id: str, frame: bytes) -> bool:
    """Send one frame; False if the connection is closed or API Gateway does not answer. Raises `StoreUnavailable`."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 (boto3 loads at first use)

    try:
        _management_api().post_to_connection(ConnectionId=connection_id, Data=media_links.sign_all(frame))
    except ClientError as error:
        if error.response["Error"]["Code"] == "GoneException":
            streams.remove_connection(connection_id)
        else:
            logger().warning("live event not sent", reason=str(error))
        return False
    except BotoCoreError as error:
        logger().warning("live event not sent", reason=str(error))
        return False
    return True


def close_connection(connection_id: str) -> None:
    """Close a connection; its client is expected to connect again."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    with contextlib.suppress(BotoCoreError, ClientError):
        _management_api().delete_connection(ConnectionId=connection_id)


def _frames(events: Sequence[StoredEvent]) -> Iterable[bytes]:
    """Frames `{"events": [{"id": …, "type": …, …}, …]}`, each with as many events as fit once links are signed."""
    batch: list[bytes] = []
    size = 0
    for stored in events:
        if not stored.event:
            continue
        event = stored.json
        length = len(media_links.sign_all(event)) + 1
        if batch and size + length > FRAME_BYTES - _FRAME_ENVELOPE_BYTES:
            yield b'{"events":[%b]}' % b",".join(batch)
            batch, size = [], 0
        batch.append(event)
        size += length
    if batch:
        yield b'{"events":[%b]}' % b",".join(batch)


@functools.cache
def _management_api() -> Any:
    import boto3  # noqa: PLC0415 (takes a tenth of a second, and most functions have no connections to send to)
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client(
        "apigatewaymanagementapi",
        endpoint_url=settings().live_endpoint_url,
        config=Config(connect_timeout=0.5, read_timeout=1, retries={"total_max_attempts": 1}, max_pool_connections=2),
    )
