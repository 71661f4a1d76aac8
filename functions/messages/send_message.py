"""POST /api/v1/messages/conversations/{conversation_id}: send a text or a picture."""

from functools import partial
from typing import Annotated
from uuid import UUID

from layers.cassandra.messages import MessageContent
from layers.core import limits
from layers.core.errors import ConversationNotFound, Invalid
from layers.core.files import File, Files
from layers.core.ids import NewId
from layers.core.models import Message, MessageText, MessageType, Shape, Viewer
from layers.core.text import Pattern, Text
from layers.entrypoints.endpoint import endpoint
from layers.entrypoints.response import Created
from layers.media import message_pictures, pictures, renditions
from layers.services import conversation_access, messaging
from layers.services.messaging import MessageDraft

type MediaUrl = Annotated[
    str,
    Text(at_most=limits.MESSAGE_URL_LENGTH, keeps_markup=True),
    Pattern(regex=r"(https?://[^\s\"<>\\]+)?", message="must be an http or https URL"),
]


class MessageBody(Shape, frozen=True, kw_only=True):
    """A text, the URL of a picture or video on another server, or both."""

    content: MessageText = ""
    content_type: MessageType = "text"
    media_url: MediaUrl | None = None
    """An http or https URL."""
    reply_to_message_id: UUID | None = None
    """A message of this conversation."""
    client_message_id: UUID | None = None
    """An id chosen by the client. Sending again with the same id returns the first message, and sends nothing."""


class MessageForm(Shape, frozen=True, kw_only=True):
    """A form with exactly one file named `media`, and a text."""

    media: Annotated[File, Files(names=("media",), at_least=1)]
    content: MessageText = ""
    reply_to_message_id: UUID | None = None
    client_message_id: UUID | None = None


class SentMessage(Shape, frozen=True, kw_only=True):
    """The message that was sent."""

    message: Message
    """The message as the conversation shows it."""


@endpoint(raises=(ConversationNotFound,))
def handler(
    conversation_id: UUID, form: MessageForm | None, body: MessageBody | None, viewer: Viewer, new: NewId
) -> Created[SentMessage]:
    if form is not None:
        conversation_access.open_one(conversation_id, viewer)  # before the picture is decoded
        messaging.check_reply(conversation_id, form.reply_to_message_id)
        draft = _draft_of_picture(form, new)
    elif body is not None:
        draft = _draft_of_text(body, new)
    else:
        raise Invalid("The body must be a form or JSON.")
    return Created(SentMessage(message=messaging.send(conversation_id, viewer, draft)))


def _draft_of_picture(form: MessageForm, new: UUID) -> MessageDraft:
    picture = pictures.identify(form.media)
    with pictures.errors_of(picture.file):
        rendered = renditions.render_message(picture.file.data)
    return MessageDraft(
        id=new,
        content=MessageContent(text=form.content, type="image"),
        reply_to_id=form.reply_to_message_id,
        client_message_id=form.client_message_id,
        store_picture=partial(message_pictures.save, new, rendered),
    )


def _draft_of_text(body: MessageBody, new: UUID) -> MessageDraft:
    return MessageDraft(
        id=new,
        content=MessageContent(text=body.content, type=body.content_type, media_url=body.media_url or None),
        reply_to_id=body.reply_to_message_id,
        client_message_id=body.client_message_id,
    )
