"""GET /api/v1/live/events: what happened since an event, for clients without a live connection."""

import msgspec

from layers.core import live
from layers.core.endpoint import endpoint
from layers.core.models import Shape, Viewer
from layers.core.response import Encoded


class After(msgspec.Struct, frozen=True, kw_only=True):
    """The id of the last event known; without one, the place from which to go on."""

    after: str | None = None


class Events(Shape, frozen=True, kw_only=True):
    """At most 100, in order; ask again with the id of the last one."""

    events: list[live.AnyEvent]
    last_id: str
    """What to go on from, also when there is nothing new."""
    reset: bool
    """Whether events before these may have been missed: read anew what they told of."""


@endpoint
def handler(query: After, viewer: Viewer) -> Encoded[Events]:
    begins, entries = live.mailboxes().after(viewer.id, last=live.known(query.after))
    events = b",".join(entry.told for entry in entries if entry.event)
    last_id, reset = entries[-1].id if entries else begins.id, msgspec.json.encode(begins.has_gap)
    return Encoded(b'{"events":[%b],"lastId":"%b","reset":%b}' % (events, last_id.encode(), reset))
