"""Queue account-removed: delete the messages, pictures and reactions of a removed account."""

from layers.core.events import AccountRemoved
from layers.entrypoints.queue import on_message
from layers.media import message_pictures
from layers.services import message_removal


@on_message(AccountRemoved)
def handler(removed: AccountRemoved) -> None:
    for media_url in message_removal.remove_account(removed.user_id, removed_at=removed.removed_at):
        message_pictures.remove(media_url)
