"""Live $default: a client says from where on it wants to hear, or asks whether anybody is there."""

from typing import Literal

import msgspec

from layers.core import live
from layers.core.errors import Invalid, SignInRequired
from layers.core.websocket import Call, on_call


class Resume(msgspec.Struct, frozen=True, tag="resume", tag_field="action"):
    """Events after this one, or from now on."""

    after: str | None = None


class Ping(msgspec.Struct, frozen=True, tag="ping", tag_field="action"):
    """Is anybody there? Worth asking once a minute: a connection that events no longer reach is closed then."""


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What comes after that event follows; `reset` when some before it may have been missed, to be read anew."""

    type: Literal["ready"] = "ready"
    id: str
    reset: bool


class Pong(msgspec.Struct, frozen=True):
    """Somebody is."""

    type: Literal["pong"] = "pong"


class Misunderstood(msgspec.Struct, frozen=True, kw_only=True):
    """What was said is none of the two."""

    type: Literal["error"] = "error"
    error: str


@on_call
def handler(call: Call) -> None:
    try:
        said = msgspec.json.decode(call.body, type=Resume | Ping)
        if isinstance(said, Resume):
            _resume(call.connection_id, live.known(said.after))
        elif live.mailboxes().knows(call.connection_id):
            live.send(call.connection_id, msgspec.json.encode(Pong()))
        else:
            live.end(call.connection_id)
    except (msgspec.MsgspecError, Invalid) as error:
        live.send(call.connection_id, msgspec.json.encode(Misunderstood(error=str(error))))


def _resume(connection_id: str, after: str | None) -> None:
    begins = live.mailboxes().joined(connection_id, after=after)
    if begins is None:
        raise SignInRequired
    if live.send(connection_id, msgspec.json.encode(Ready(id=begins.id, reset=begins.has_gap))):
        live.deliver(connection_id, sent=begins.id)
