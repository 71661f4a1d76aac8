"""GET /api/v1/messages/conversations: list the caller's conversations, latest activity first."""

from layers.core import pages
from layers.core.models import Conversation, Page, Shape, Viewer
from layers.core.pages import HIGHEST_FIRST
from layers.entrypoints.endpoint import endpoint
from layers.services import inbox


class Conversations(Shape, frozen=True, kw_only=True):
    """A page of conversations."""

    conversations: list[Conversation]
    next_cursor: str | None


@endpoint
def handler(query: Page, viewer: Viewer) -> Conversations:
    window = pages.window(query, "conversations", viewer=viewer, start=HIGHEST_FIRST)
    listed, next_cursor = inbox.list_conversations(viewer, window, is_first_page=query.cursor is None)
    return Conversations(conversations=listed, next_cursor=next_cursor)
