"""Saving a profile picture: the file is stored first, and the row of the account names it second.

From before the file is stored until a row names it, its key is recorded as abandoned. If a step in between fails, the
account keeps the picture that it had, and the sweeper removes the file.
"""

from datetime import UTC, datetime
from uuid import UUID

from layers.core import media_links
from layers.core.ids import new_id
from layers.media import avatars
from layers.media.render_jobs import RenderedPhoto
from layers.postgres import abandoned_files
from layers.postgres.connection import Connection, autocommit


def store(photo: RenderedPhoto) -> UUID:
    """Store a picture that no account has yet; returns its id, for `keep`. Raises `StoreUnavailable`."""
    avatar_id = new_id()
    with autocommit() as db:
        abandoned_files.announce(db, file_id=avatar_id, key=avatars.key(avatar_id))
    avatars.save(avatar_id, photo)
    return avatar_id


def keep(db: Connection, *, avatar_id: UUID, replaced_id: UUID | None) -> None:
    """Keep a picture whose id the row of an account has now, and abandon the one before, in the same transaction.

    The file of the one before stays until the links end that were handed out. Raises `StoreUnavailable` if the new file
    was removed, because the request took too long.
    """
    abandoned_files.claim(db, file_id=avatar_id)
    if replaced_id:
        links_end = datetime.fromtimestamp(media_links.expiry(), UTC)
        abandoned_files.add(db, keys=[avatars.key(replaced_id)], kept_until=links_end)
