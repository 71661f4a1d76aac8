"""POST /api/v1/messages/conversations/{conversation_id}: a message, or a picture with words."""

import re
from typing import Annotated
from uuid import UUID

import msgspec

from layers.cassandra import connection, conversations, inboxes, messages
from layers.core import limits, live, message_ids, people, pictures
from layers.core.endpoint import endpoint
from layers.core.errors import ConversationNotFound, Invalid, MessageNotFound
from layers.core.ids import NewId
from layers.core.models import Message, MessageType, Shape, Viewer
from layers.core.multipart import File, Parts
from layers.core.response import Created
from layers.core.text import plain
from layers.media import message_pictures, renditions
from layers.media.renditions import Photo
from layers.valkey import inboxes as order

_URL = re.compile(r"https?://[^\s\"<>\\]+")

type Content = Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": limits.MESSAGE_LENGTH})]


class NewMessage(Shape, frozen=True, kw_only=True):
    """Words, the URL of a picture or video somewhere else, or both."""

    content: Content = ""
    content_type: MessageType = "text"
    media_url: Annotated[str, msgspec.Meta(extra_json_schema={"format": "uri", "maxLength": 500})] | None = None
    reply_to_message_id: UUID | None = None
    """A message of this conversation."""
    client_message_id: UUID | None = None
    """The client's own id of the message: sent again with the same one, it is not sent twice."""


class NewPicture(Shape, frozen=True, kw_only=True):
    """A form: exactly one file named `media`, and words."""

    files: Annotated[tuple[File, ...], Parts(names=("media",), at_least=1)] = ()
    content: Content = ""
    reply_to_message_id: UUID | None = None
    client_message_id: UUID | None = None


class Sent(Shape, frozen=True, kw_only=True):
    """The message."""

    message: Message


@endpoint(raises=(ConversationNotFound,))
def handler(
    conversation_id: UUID, form: NewPicture | None, body: NewMessage | None, viewer: Viewer, new: NewId
) -> Created[Sent]:
    given = form or body
    if given is None:
        raise Invalid("The body must be a form or JSON.")
    rows, entries = connection.execute_all(
        conversations.reading(conversation_id), inboxes.reading(viewer.id, conversation_id)
    )
    conversation = conversations.read_from(rows, user_id=viewer.id)
    people.hidden_in(conversation, viewer)
    _check_reply(conversation_id, given.reply_to_message_id)
    written = _written(given)
    message_id = message_ids.of(new)
    if given.client_message_id:
        message_id = messages.claimed(
            conversation_id, sender_id=viewer.id, client_message_id=given.client_message_id, message_id=message_id
        )
        if sent_before := messages.kept(conversation_id, message_id):
            return Created(Sent(message=sent_before.message.shown(conversation_id)))
    message = messages.Message(
        message_id=message_id,
        sender_id=viewer.id,
        content=written.content,
        content_type=written.content_type,
        media_url=message_pictures.put(new, written.picture) if written.picture else written.media_url,
        reply_to_id=given.reply_to_message_id,
    )
    entry = inboxes.entry_from(entries)
    messages.send(
        conversation_id,
        message,
        beside=[
            *inboxes.telling(conversation, message),
            *([] if entry and entry.has_unread else conversations.marked(conversation_id, viewer.id, message_id)),
        ],
    )
    order.active(conversation_id, message_ids.time_of(message_id), conversation.member_ids)
    shown = message.shown(conversation_id)
    live.tell(conversation.member_ids, live.MessageSent(message=shown))
    return Created(Sent(message=shown))


class _Written(msgspec.Struct, frozen=True):
    """What is sent, checked."""

    content: str
    content_type: MessageType
    media_url: str | None
    picture: Photo | None = None


def _written(given: NewMessage | NewPicture) -> _Written:
    content = plain(given.content)
    if len(content) > limits.MESSAGE_LENGTH:
        raise Invalid.field("content", f"at most {limits.MESSAGE_LENGTH} characters, not {len(content)}")
    if isinstance(given, NewPicture):
        [picture] = pictures.accepted([file for file in given.files if file.field == "media"], at_least=1, at_most=1)
        with pictures.blaming(picture.file):
            return _Written(content, "image", None, renditions.render_message(picture.file.data))
    url = given.media_url or None
    if url and (len(url) > limits.MESSAGE_URL_LENGTH or not _URL.fullmatch(url)):
        raise Invalid.field("mediaUrl", f"an http or https URL of at most {limits.MESSAGE_URL_LENGTH} characters")
    if not content.strip() and not url:
        raise Invalid("Give content, mediaUrl or both.")
    return _Written(content, given.content_type, url)


def _check_reply(conversation_id: UUID, message_id: UUID | None) -> None:
    try:
        if message_id is not None:
            messages.find(conversation_id, message_id)
    except MessageNotFound:
        raise Invalid.field("replyToMessageId", "there is no such message in this conversation") from None
