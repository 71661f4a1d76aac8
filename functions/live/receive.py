"""Live $default: begin to send events over the connection, or answer a ping."""

from typing import Literal

import msgspec

from layers.core import untrusted_json
from layers.core.errors import Invalid, SignInRequired
from layers.entrypoints.websocket import WebSocketEvent, on_websocket_event
from layers.services import live_events
from layers.valkey import live_events as streams


class Resume(msgspec.Struct, frozen=True, tag="resume", tag_field="action"):
    """Send the events after the given one, or from now on."""

    after: str | None = None
    """The id of an event."""


class Ping(msgspec.Struct, frozen=True, tag="ping", tag_field="action"):
    """Check the connection, once a minute: it is closed if events are no longer sent over it."""


class ReadyFrame(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `resume`: the events after `id` follow."""

    type: Literal["ready"] = "ready"
    id: str
    reset: bool
    """Whether events before `id` may be missing: the client must read the current state from the API again."""


class PongFrame(msgspec.Struct, frozen=True):
    """The answer to `ping`: events are sent over the connection."""

    type: Literal["pong"] = "pong"


class ErrorFrame(msgspec.Struct, frozen=True, kw_only=True):
    """The frame is not valid: it is neither `resume` nor `ping`, or a field is wrong."""

    type: Literal["error"] = "error"
    error: str


@on_websocket_event
def handler(event: WebSocketEvent) -> None:
    try:
        frame = untrusted_json.decode(event.body.encode(), Resume | Ping)
        if isinstance(frame, Resume):
            _resume(event.connection_id, live_events.parse_event_id(frame.after))
        elif streams.is_open(event.connection_id):
            live_events.send_frame(event.connection_id, msgspec.json.encode(PongFrame()))
        else:
            live_events.close_connection(event.connection_id)
    except (msgspec.MsgspecError, Invalid) as error:
        live_events.send_frame(event.connection_id, msgspec.json.encode(ErrorFrame(error=str(error))))


def _resume(connection_id: str, after: str | None) -> None:
    start = streams.join(connection_id, after=after)
    if start is None:
        raise SignInRequired
    if live_events.send_frame(connection_id, msgspec.json.encode(ReadyFrame(id=start.id, reset=start.has_gap))):
        live_events.send_pending(connection_id, sent=start.id)
