"""GET /api/v1/messages/conversations: list the caller's conversations, latest activity first."""

from uuid import UUID

from layers.core.models import Conversation, Page, Shape, Viewer
from layers.core.prefetched import Prefetched
from layers.entrypoints.endpoint import endpoint
from layers.entrypoints.response import Encoded
from layers.services import inbox
from layers.valkey.connection import Call


class Conversations(Shape, frozen=True, kw_only=True):
    """A page of conversations."""

    conversations: list[Conversation]
    next_cursor: str | None


def _prefetch(viewer_id: UUID, query: Page) -> Call:
    return inbox.prefetch(viewer_id, cursor=query.cursor, size=query.size)


@endpoint(prefetch=_prefetch)
def handler(query: Page, viewer: Viewer, prefetched: Prefetched | None) -> Encoded[Conversations]:
    return Encoded(inbox.read(viewer, cursor=query.cursor, size=query.size, prefetched=prefetched))
