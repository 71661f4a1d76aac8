"""GET /api/v1/live/events: list the events after a known one, for clients without a WebSocket."""

import msgspec

from layers.core.models import Shape, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.entrypoints.response import Encoded
from layers.services import live_events
from layers.valkey import live_events as streams


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The position to continue from."""

    after: str | None = None
    """The id of the last event that the client knows; without it the answer is only the `lastId` to begin with."""


class Events(Shape, frozen=True, kw_only=True):
    """At most 100 events, oldest first."""

    events: list[live_events.AnyEvent]
    last_id: str
    """The `after` of the next request, also if there are no new events."""
    reset: bool
    """True if events between `after` and these may be missing: read the current state from the API again."""


@endpoint
def handler(query: EventsQuery, viewer: Viewer) -> Encoded[Events]:
    start, entries = streams.read_after(viewer.id, last=live_events.parse_event_id(query.after))
    events = b",".join(entry.json for entry in entries if entry.event)
    last_id, reset = entries[-1].id if entries else start.id, msgspec.json.encode(start.has_gap)
    return Encoded(b'{"events":[%b],"lastId":"%b","reset":%b}' % (events, last_id.encode(), reset))
