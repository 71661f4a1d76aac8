"""GET /api/v1/messages/conversations/{conversation_id}: its messages, the newest first."""

from itertools import islice
from uuid import UUID

from layers.cassandra import conversations, messages
from layers.core import limits, message_ids, people
from layers.core.endpoint import endpoint
from layers.core.errors import Invalid
from layers.core.models import Message, MessagesPage, Shape, Viewer


class Messages(Shape, frozen=True, kw_only=True):
    """One page; `next_cursor` is the `before` of the next one."""

    messages: list[Message]
    next_cursor: UUID | None


@endpoint
def handler(conversation_id: UUID, query: MessagesPage, viewer: Viewer) -> Messages:
    before, size = query.before or query.cursor, min(query.limit, limits.PAGE)
    if before is not None and not message_ids.is_one(before):
        raise Invalid.field("before", "not the id of a message")
    conversation = conversations.read(conversation_id, user_id=viewer.id)
    hidden = people.hidden_in(conversation, viewer)
    newest = messages.newest_first(conversation_id, before=before, at_once=size + 1)
    found = list(islice((each for each in newest if each.message.sender_id not in hidden), size + 1))
    shown = found[:size]
    said = messages.reactions(conversation_id, shown)
    return Messages(
        messages=[
            each.message.shown(
                conversation_id, [one for one in said.get(each.message.message_id, ()) if one.user_id not in hidden]
            )
            for each in shown
        ],
        next_cursor=shown[-1].message.message_id if len(found) > size else None,
    )
