"""Queue account-removed: what a removed account has written to others goes too, with its name and its pictures."""

from layers.cassandra import removals
from layers.core.events import AccountRemoved
from layers.core.queue import on_message
from layers.media import message_pictures


@on_message(AccountRemoved)
def handler(removed: AccountRemoved) -> None:
    for media_url in removals.remove(removed.user_id, removed_at=removed.removed_at):
        message_pictures.remove(media_url)
